"""TF32 and bfloat16: in a training step's passes through the networks and nowhere else."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from small_generation_task import task
from small_transport_task import transport
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.testing import assert_close

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import weighted_layers
from lipschitz.models.base import PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.models.resnet import ResNet
from lipschitz.tasks.precision import Precision
from lipschitz.tf32 import float32_products


def tf32() -> bool:
    """Whether products of float32 tensors would be in TF32 on CUDA; only both kinds of products at once are."""
    backends: Any = torch.backends
    found = {operation.fp32_precision == "tf32" for operation in (backends.cuda.matmul, backends.cudnn.conv)}
    assert len(found) == 1
    return found.pop()


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> Iterator[None]:
    with float32_products("ieee"):
        yield


class Spy(Constraint):
    """Remembers in which arithmetic each of its hooks was called, and what its weight was computed in."""

    promise, source = "none", "this test"

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        layer = next(layer for _, layer in weighted_layers(net))
        nn.utils.parametrize.register_parametrization(layer, "weight", Product())
        layer.register_forward_hook(lambda _, args, output: note("forward", output))
        return net

    def update(self, net: nn.Module) -> None:
        note("update", torch.ones(2, 2) @ torch.ones(2, 2))

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        assert batch.fake is not None
        note("penalty", torch.ones(2, 2) @ torch.ones(2, 2))
        assert batch.real.dtype == batch.fake.dtype == torch.float32
        return super().penalty(net, batch, rng)

    def project(self, net: nn.Module) -> None:
        note("project", torch.ones(2, 2) @ torch.ones(2, 2))


class ByInput(Constraint):
    """Says of its penalty that it differentiates by the input."""

    promise, source, double_backward = "none", "this test", True

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        note("penalty by the input", torch.ones(2, 2) @ torch.ones(2, 2))
        return super().penalty(net, batch, rng)


class Product(nn.Module):
    """A parametrization that multiplies matrices, as a constraint's own arithmetic may."""

    def forward(self, weight: Tensor) -> Tensor:
        matrix = torch.eye(len(weight), dtype=weight.dtype) @ weight.flatten(1)
        note("weight", matrix)
        return matrix.view_as(weight)


SEEN: dict[str, set[tuple[torch.dtype, bool]]] = {}


def note(what: str, made: Tensor) -> None:
    # torch.export passes tensors without values.
    if not isinstance(made, FakeTensor):
        SEEN.setdefault(what, set()).add((made.dtype, tf32()))


@pytest.mark.parametrize(
    ("precision", "forward", "by_input"),
    [
        ("float32", (torch.float32, False), (torch.float32, False)),
        ("tf32", (torch.float32, True), (torch.float32, True)),
        ("bf16", (torch.bfloat16, True), (torch.float32, True)),
    ],
)
def test_only_passes_through_the_networks_are_in_it(
    precision: Precision, forward: tuple[torch.dtype, bool], by_input: tuple[torch.dtype, bool]
) -> None:
    built = task(precision, ByInput(), Spy(), model=MLP(width=16, depth=2))
    *_, (_, last) = weighted_layers(built.generator)
    last.register_forward_hook(lambda _, args, output: note("generator", output))
    SEEN.clear()
    built.step(0.0)
    exactly = (torch.float32, False)
    expected = {"forward": forward, "generator": forward, "penalty by the input": by_input}
    for name, seen in SEEN.items():
        assert seen == {expected.get(name, exactly)}, name
    assert SEEN.keys() >= {*expected, "penalty", "update", "project", "weight"}
    SEEN.clear()
    built.evaluate("a")
    built.arrays()
    # The gradient of its loss is that of a float64 copy.
    assert SEEN["generator"] == {exactly, (torch.float64, False)}
    assert {(dtype.itemsize >= 4, rough) for seen in SEEN.values() for dtype, rough in seen} == {(True, False)}
    assert not tf32()


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_backward_passes_are_in_tf32_too(precision: Precision) -> None:
    built, seen = task(precision), []
    for net in (built.discriminator, built.generator):
        next(net.parameters()).register_hook(lambda gradient: seen.append(tf32()))
    built.step(0.0)
    assert seen == [True, True]


def test_a_step_that_fails_leaves_float32() -> None:
    class Broken(ByInput):
        def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        task("tf32", Broken()).step(0.0)
    assert not tf32()


def test_the_gradient_penalty_is_that_of_float32() -> None:
    penalties = []
    for precision in ("float32", "bf16"):
        built = task(precision, Kept())
        built.discriminator_step()
        penalties.append(KEPT.pop())
    # The generator's samples are rounded: 8 bits. A penalty in bfloat16 would differ by more than its inputs do.
    assert penalties[1].dtype == torch.float32
    assert_close(*penalties, rtol=0.02, atol=0)
    assert penalties[0] != penalties[1]


KEPT: list[Tensor] = []


class Kept(GradientPenalty):
    """Keeps its penalty, and sees that the gradient is taken in float32."""

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        assert net(batch.real).dtype == torch.float32
        KEPT.append(super().penalty(net, batch, rng))
        return KEPT[-1]


@pytest.mark.parametrize(
    "model", [DCGAN(width=4, conditional=True), ResNet(width=8, attention=4, conditional=True)], ids=["dcgan", "resnet"]
)
def test_the_image_models_train_in_bf16(model: PairModel) -> None:
    rough, exact = (task(precision, SpectralNormalization(), model=model) for precision in ("bf16", "float32"))
    for one in (rough, exact):
        one.step(0.0)
        one.step(0.5)
    assert rough.is_finite()
    names = [name for name, _ in exact.discriminator.named_parameters()]
    ours, theirs = (dict(one.discriminator.named_parameters()) for one in (rough, exact))
    assert not all(torch.equal(ours[name], theirs[name]) for name in names)
    for name in names:
        # Two of Adam's steps of 2e-4 each way.
        assert_close(ours[name], theirs[name], rtol=0, atol=1e-3)


def test_a_critic_trains_in_bf16() -> None:
    built = transport(GradientPenalty())
    rough = transport(GradientPenalty(), precision="bf16")
    for one in (built, rough):
        one.step(0.0)
    assert rough.is_finite()
    ours, theirs = (list(one.critic.parameters()) for one in (rough, built))
    assert any(not torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert {parameter.dtype for parameter in ours} == {torch.float32}


def test_a_resumed_run_in_bf16_goes_on_bit_for_bit() -> None:
    ours, theirs = (task("bf16", SpectralNormalization(), model=MLP(width=16)) for _ in range(2))
    ours.step(0.0)
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    for one in (ours, theirs):
        one.step(0.5)
    assert ours.evaluate("a") == theirs.evaluate("a")
    for a, b in zip(ours.discriminator.state_dict().values(), theirs.discriminator.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_it_trains_on_a_gpu(precision: Precision) -> None:
    device = torch.device("cuda")
    rough, exact = (task(one, GradientPenalty(), device=device) for one in (precision, "float32"))
    for one in (rough, exact):
        one.step(0.0)
    assert rough.is_finite()
    ours, theirs = (list(one.discriminator.parameters()) for one in (rough, exact))
    # A simulated device rounds nothing to TF32.
    differs = any(not torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert differs == (precision == "bf16" or rounds_to_tf32(device))


def rounds_to_tf32(device: torch.device) -> bool:
    third = torch.full((64, 64), 1 / 3, device=device)
    with float32_products("ieee"):
        exact = third @ third
    with float32_products("tf32"):
        return not torch.equal(exact, third @ third)
