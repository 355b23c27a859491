"""Tests of every model, and of the choice of ``auto``."""

import pytest
import torch
from pydantic import ValidationError

from lipschitz.models.base import MODELS, PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.tasks.generation.generation import GenerationTask

SHAPES = {"points": (2,), "images": (1, 8, 8)}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_a_valid_record_and_builds_reproducibly(name: str) -> None:
    kind = MODELS[name]
    shape = SHAPES[kind.kind]
    assert kind.name() == name
    assert kind.source
    assert kind.summary().endswith(".")
    with pytest.raises(ValidationError, match="nonsense"):
        kind(nonsense=1)
    built = []
    for _ in range(2):
        torch.manual_seed(3)
        model = kind()
        built.append(
            (model.build_discriminator(shape), *(model.build(shape)[:2] if isinstance(model, PairModel) else ()))
        )
    for ours, theirs in zip(*built, strict=True):
        for (key, value), (other_key, other) in zip(
            ours.state_dict().items(), theirs.state_dict().items(), strict=True
        ):
            assert key == other_key
            assert torch.equal(value, other)


def test_auto_chooses_mlp_for_points_and_dcgan_for_images() -> None:
    auto = GenerationTask().default_model
    assert auto((2,)) == MLP()
    assert auto((1, 8, 8)) == auto((3, 32, 32)) == DCGAN()
    assert DCGAN().width == 64
