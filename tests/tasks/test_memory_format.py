"""channels_last: what passes through both networks lies in it, and nothing else does or is any different."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_terms import TERMS, with_terms
from torch import Tensor, nn
from torch.testing import assert_close

from lipschitz.constraints.base import CONSTRAINTS, Constraint, Refusal
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.errors import InputError
from lipschitz.models.base import MODELS, PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.residual import SelfAttention
from lipschitz.models.resnet import ResNet
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.memory_format import MemoryFormat, maps_in_memory_format

SMALL: dict[str, PairModel] = {
    name: kind(width=4) for name, kind in MODELS.items() if issubclass(kind, PairModel) and kind.kind == "images"
}
"""Every model of both networks of images, by name."""
OTHERS = {
    "conditional": DCGAN(width=4, conditional=True),
    "sorting pairs": DCGAN(width=4, activation="group_sort"),
    "attention": ResNet(width=8, attention=4, conditional=True),
    "deeper": ResNet(width=4, layout="table_5"),
}
SWEEP = """\
name: small
task: generation
datasets: [digits]
models: [{dcgan: {width: 4}}]
constraints: [spectral_normalization]
seeds: [0]
training: {steps: 4, batch_size: 4}
"""


def images(
    layout: MemoryFormat, model: PairModel, *constraints: Constraint, channels: int = 3, size: int = 8, **asked: Any
) -> GANTraining:
    terms = with_terms(TERMS, model=model, constraints=constraints or (NoConstraint(),), batch_size=4, layout=layout)
    return GANTraining(drawn(channels, size), with_terms(terms, **asked))


def drawn(channels: int, size: int) -> ImageData:
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(16) % 2
    splits = [Split(torch.randint(256, (16, channels, size, size), generator=rng, dtype=torch.uint8), labels)] * 2
    return ImageData.load(*splits, TERMS.device, classes=2)


def is_channels_last(maps: Tensor) -> bool:
    """By the strides, which convolutions choose by: maps of one channel are contiguous in every layout."""
    _, c, h, w = maps.shape
    return maps.stride() == (c * h * w, 1, c * w, c)


def watch(built: GANTraining) -> dict[str, set[bool]]:
    """Return, by module, whether the maps that it is given are channels_last, as they are from now on."""
    seen: dict[str, set[bool]] = {}
    for side, net in (("generator", built.generator), ("discriminator", built.discriminator)):
        # Attention multiplies matrices between its convolutions; its sum with the map that it is given is one again.
        inner = {child for module in net.modules() if isinstance(module, SelfAttention) for child in module.children()}
        for name, module in net.named_modules(prefix=side):
            if module not in inner and "parametrizations" not in name:
                module.register_forward_pre_hook(lambda _, args, name=name: note(seen, name, args[0]))
    return seen


def note(seen: dict[str, set[bool]], name: str, given: Tensor) -> None:
    # Maps of one pixel lie in both, whatever their strides.
    if given.dim() == 4 and given[0, 0].numel() > 1:
        seen.setdefault(name, set()).add(is_channels_last(given))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("model", [*SMALL.values(), *OTHERS.values()], ids=[*SMALL, *OTHERS])
def test_all_maps_of_a_step_are_channels_last(model: PairModel, channels: int) -> None:
    built = images("channels_last", model, GradientPenalty(), channels=channels, size=16)
    seen = watch(built)
    built.step(0.0)
    assert {name for name, given in seen.items() if given != {True}} == set()
    # From the first maps of either network to the last.
    assert seen.keys() >= {"generator.blocks", "generator.blocks.2", "generator.tanh", "discriminator"}
    assert any(name.startswith("discriminator") and name.endswith("blocks.3") for name in seen)


@pytest.mark.parametrize("model", SMALL.values(), ids=SMALL)
def test_what_no_step_asks_for_stays_contiguous(model: PairModel) -> None:
    plain, built = images("contiguous", model), images("channels_last", model)
    built.generator_step()
    for one in (plain, built):
        seen = watch(one)
        one.generator(torch.randn(4, model.latent))  # type: ignore[attr-defined]
        assert seen
        assert set.union(*seen.values()) == {False}
    seen = watch(plain)
    plain.step(0.0)
    assert set.union(*seen.values()) == {False}


def test_a_pass_that_fails_leaves_the_generator_as_it_was() -> None:
    built = images("channels_last", SMALL["dcgan"])
    with pytest.raises(RuntimeError, match="no"), maps_in_memory_format(built.generator, "channels_last"):
        raise RuntimeError("no")
    assert not any(module._forward_hooks for module in built.generator.modules())


@pytest.mark.parametrize("model", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_step_is_one_in_contiguous_but_for_rounding(name: str, model: PairModel) -> None:
    try:
        exact, built = (images(layout, model, CONSTRAINTS[name]()) for layout in ("contiguous", "channels_last"))
    except Refusal as reason:
        pytest.skip(str(reason))
    places = {key: value.data_ptr() for key, value in tensors(built)}
    for one in (exact, built):
        one.generator_step()
        one.discriminator_step()
    assert_same_but_for_rounding(exact, built)
    strides = {key: value.stride() for key, value in tensors(exact)}
    for key, value in tensors(built):
        assert value.stride() == strides[key], f"{key} lies as it does in contiguous"
        assert value.data_ptr() == places[key], f"{key} is written in place"


def test_so_is_one_of_a_bounded_generator_and_its_average() -> None:
    asked = {"ema": 0.9, "generator_constraints": (SpectralNormalization(),)}
    exact, built = (images(layout, OTHERS["attention"], **asked) for layout in ("contiguous", "channels_last"))
    for one in (exact, built):
        one.step(0.0)
    assert_same_but_for_rounding(exact, built)
    theirs, ours = (one.state_dict()["players"]["generator"]["average"] for one in (exact, built))
    for key, value in ours.items():
        assert_close(value, theirs[key], rtol=1e-4, atol=1e-3)
        assert value.stride() == theirs[key].stride()


def assert_same_but_for_rounding(exact: GANTraining, built: GANTraining) -> None:
    """Compare states and the last gradients: Adam's steps have the size of the rate, however small a gradient is."""
    theirs = dict(tensors(exact))
    for key, value in tensors(built):
        assert_close(value, theirs[key], rtol=1e-4, atol=1e-3, msg=lambda said, key=key: f"{key}: {said}")
    for side in ("generator", "discriminator"):
        nets: list[nn.Module] = [getattr(one, side) for one in (exact, built)]
        ours, gradients = ([parameter.grad for parameter in net.parameters()] for net in reversed(nets))
        largest = max(float(gradient.abs().max()) for gradient in gradients if gradient is not None)
        assert largest > 0
        for mine, gradient in zip(ours, gradients, strict=True):
            assert_close(mine, gradient, rtol=1e-3, atol=1e-4 * largest)


def tensors(built: GANTraining) -> Iterator[tuple[str, Tensor]]:
    for side in ("generator", "discriminator"):
        net: nn.Module = getattr(built, side)
        yield from ((f"{side}.{key}", value) for key, value in (*net.named_parameters(), *net.named_buffers()))


def runs(folder: Path, training: str = "") -> tuple[Run, ...]:
    path = folder / "small.yaml"
    path.write_text(SWEEP.replace("batch_size: 4", f"batch_size: 4{training}"))
    return load_sweep(path).runs


def test_a_layout_is_part_of_what_a_run_is_unless_it_is_contiguous(tmp_path: Path) -> None:
    ((plain,), (named,), (other,)) = (
        runs(tmp_path, more) for more in ("", ", layout: contiguous", ", layout: channels_last")
    )
    assert named.id == plain.id
    assert "layout" not in json.dumps(plain.canonical())
    assert other.configuration != plain.configuration, "it is timed apart"
    assert (plain.labels()["setting"], other.labels()["setting"]) == ("C", "C [channels_last]"), "it is compared apart"
    assert other.definition(4)["run"]["training"]["layout"] == "channels_last"
    assert plain.definition(4)["run"]["training"]["layout"] == "contiguous"
    (both,) = runs(tmp_path, ", layout: channels_last, precision: bf16")
    assert both.labels()["setting"] == "C [bf16, channels_last]"
    with pytest.raises(InputError, match=r"small.yaml:7: training.layout: .*'contiguous' or 'channels_last'.*'nhwc'"):
        runs(tmp_path, ", layout: nhwc")


def test_a_job_trains_in_the_layout_of_its_run(tmp_path: Path) -> None:
    (run,) = runs(tmp_path, ", layout: channels_last, precision: bf16")
    built = Job(run, tmp_path, Site(("cpu",)), "cpu", {}).build(drawn(channels=1, size=8))
    assert isinstance(built, GANTraining)
    seen = watch(built)
    built.step(0.0)
    assert set.union(*seen.values()) == {True}
