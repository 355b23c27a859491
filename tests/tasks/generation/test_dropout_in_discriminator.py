"""Dropout in the discriminator of a GAN: a random stream of its own, kept in checkpoints."""

import copy

import pytest
import torch
from small_generation_task import task

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.models.base import PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.dropout import Dropout
from lipschitz.models.mlp import MLP

MODELS = [MLP(width=8, depth=2, dropout=0.5), DCGAN(width=4, dropout=0.5)]


@pytest.mark.parametrize("model", MODELS)
def test_the_discriminator_alone_drops_out(model: PairModel) -> None:
    gan = task("float32", model=model)
    blocks = 2 if isinstance(model, MLP) else 7
    assert sum(isinstance(module, Dropout) for module in gan.discriminator.modules()) == blocks
    assert not any(isinstance(module, Dropout) for module in gan.generator.modules())


@pytest.mark.parametrize("model", MODELS)
def test_it_changes_steps_and_goes_on_bit_for_bit(model: PairModel) -> None:
    gan, plain = (
        task("float32", SpectralNormalization(), model=one)
        for one in (model, model.model_copy(update={"dropout": 0.0}))
    )
    assert [one.shape for one in gan.discriminator.parameters()] == [
        one.shape for one in plain.discriminator.parameters()
    ]
    gan.step(0.0)
    plain.step(0.0)
    assert not torch.equal(_first_bias(gan), _first_bias(plain))
    other = task("float32", SpectralNormalization(), model=model)
    other.load_state_dict(copy.deepcopy(gan.state_dict()))
    torch.rand(7)
    for one in (gan, other):
        one.step(0.5)
    assert torch.equal(_first_bias(gan), _first_bias(other))
    assert torch.equal(*(next(one.generator.parameters()) for one in (gan, other)))


def test_a_discriminator_without_dropout_has_no_such_stream() -> None:
    assert "dropout" not in task("float32", model=MLP(width=8)).state_dict()["streams"]


def _first_bias(gan: object) -> torch.Tensor:
    discriminator = gan.discriminator  # type: ignore[attr-defined]
    return next(value for name, value in discriminator.named_parameters() if name.endswith("bias"))
