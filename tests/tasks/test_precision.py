"""TF32 and bfloat16: in the forward passes of training and nowhere else, and never by another name."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from critics import transport
from torch import Tensor, nn
from torch.testing import assert_close

from lipschitz.constraints.base import Batch, Constraint, Refusal
from lipschitz.constraints.catalogue import CATALOGUE
from lipschitz.constraints.gradient_normalization import GradientNormalization
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.datasets.digits import Digits
from lipschitz.datasets.eight_gaussians import EightGaussians
from lipschitz.errors import InputError
from lipschitz.estimation.exact import exact
from lipschitz.estimation.layers import raw_weight, reparametrizations, reshaped_weight, weighted_layers
from lipschitz.estimation.sigma import layer_sigmas
from lipschitz.models.base import PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.models.resnet import ResNet
from lipschitz.sweep.devices import check_precisions
from lipschitz.sweep.spec import load_sweep
from lipschitz.sweep.worker import Job
from lipschitz.sweeping import Request
from lipschitz.tasks.generation import Generation
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.precision import Precision, check_constraint
from lipschitz.tasks.settings import SETTINGS
from lipschitz.tasks.terms import Terms

CPU = torch.device("cpu")
SWEEP = """\
name: small
task: generation
datasets: [digits]
models: [{dcgan: {width: 4}}]
constraints: [none, gradient_penalty]
seeds: [0]
training: {steps: 4, batch_size: 4}
"""
IN_FORWARD = {name for name, kind in CATALOGUE.items() if kind is GradientNormalization}


def task(
    precision: Precision, *constraints: Constraint, model: PairModel | None = None, device: torch.device = CPU
) -> Generation:
    model = model or DCGAN(width=4)
    points = model.kind == "points"
    return Generation(
        (EightGaussians() if points else Digits()).load(None, device),
        Terms(
            model,
            constraints or (NoConstraint(),),
            LOSSES["hinge"],
            SETTINGS["C"],
            seed=0,
            batch_size=8,
            samples=32,
            gradient_samples=8,
            selection="w1" if points else "frechet_classifier",
            device=device,
            precision=precision,
        ),
    )


def tf32() -> bool:
    """Whether products of float32 tensors would be in TF32 on CUDA; only both kinds of products at once are."""
    operations: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn.conv]  # type: ignore[attr-defined]
    found = {operation.fp32_precision == "tf32" for operation in operations}
    assert len(found) == 1
    return found.pop()


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> Iterator[None]:
    operations: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn.conv]  # type: ignore[attr-defined]
    before = [operation.fp32_precision for operation in operations]
    for operation in operations:
        operation.fp32_precision = "ieee"
    yield
    for operation, was in zip(operations, before, strict=True):
        operation.fp32_precision = was


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


class Product(nn.Module):
    """A parametrization that multiplies matrices, as a constraint's own arithmetic may."""

    def forward(self, weight: Tensor) -> Tensor:
        matrix = torch.eye(len(weight), dtype=weight.dtype) @ weight.flatten(1)
        note("weight", matrix)
        return matrix.view_as(weight)


SEEN: dict[str, set[tuple[torch.dtype, bool]]] = {}


def note(what: str, made: Tensor) -> None:
    SEEN.setdefault(what, set()).add((made.dtype, tf32()))


@pytest.mark.parametrize(
    ("precision", "forward", "penalty"),
    [
        ("float32", (torch.float32, False), (torch.float32, False)),
        ("tf32", (torch.float32, True), (torch.float32, True)),
        ("bf16", (torch.bfloat16, False), (torch.float32, False)),
    ],
)
def test_only_passes_through_the_networks_are_in_it(
    precision: Precision, forward: tuple[torch.dtype, bool], penalty: tuple[torch.dtype, bool]
) -> None:
    built = task(precision, Spy(), model=MLP(width=16, depth=2))
    *_, (_, last) = weighted_layers(built.generator)
    last.register_forward_hook(lambda _, args, output: note("generator", output))
    SEEN.clear()
    built.step(0.0)
    exactly = (torch.float32, False)
    expected = {"forward": forward, "generator": forward, "penalty": penalty}
    for name, seen in SEEN.items():
        assert seen == {expected.get(name, exactly)}, name
    assert SEEN.keys() >= {*expected, "update", "project", "weight"}
    SEEN.clear()
    built.evaluate("a")
    built.arrays()
    assert SEEN["generator"] == {exactly}
    assert {(dtype.itemsize >= 4, rough) for seen in SEEN.values() for dtype, rough in seen} == {(True, False)}
    assert not tf32()


def test_backward_passes_are_in_tf32_too() -> None:
    built, seen = task("tf32"), []
    for net in (built.discriminator, built.generator):
        next(net.parameters()).register_hook(lambda gradient: seen.append(tf32()))
    built.step(0.0)
    assert seen == [True, True]


def test_a_step_that_fails_leaves_float32() -> None:
    class Broken(Constraint):
        promise, source = "none", "this test"

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


def reshaped(net: nn.Module) -> float:
    return max(float(torch.linalg.matrix_norm(reshaped_weight(layer), 2)) for _, layer in weighted_layers(net))


def operators(net: nn.Module) -> float:
    with exact(net) as twin:
        return max(sigma.operator for sigma in layer_sigmas(twin, torch.zeros(1, 1, 8, 8).double()).values())


def frobenius(net: nn.Module) -> float:
    return max(float(layer.weight.norm()) for _, layer in weighted_layers(net))


def units(net: nn.Module) -> float:
    return max(float(layer.weight.flatten(1).norm(dim=1).max()) for _, layer in weighted_layers(net))


def entries(net: nn.Module) -> float:
    return max(float(layer.weight.abs().max()) for _, layer in weighted_layers(net))


ROUNDED, ITERATED = 1 + 1e-6, 1.01
"""Room above a bound: of float32 (bfloat16 rounds by up to 1.004), and of a step of power iteration."""
BOUNDS: Mapping[str, tuple[Callable[[nn.Module], float], float]] = MappingProxyType(
    {
        "weight_clipping": (entries, 0.01 * ROUNDED),
        "frobenius_clipping": (frobenius, ROUNDED),
        "frobenius_normalization": (frobenius, ROUNDED),
        "weight_normalization": (units, ROUNDED),
        "spectral_projection": (reshaped, ITERATED),
        "spectral_normalization": (reshaped, ITERATED),
        "gouk_projection": (operators, ITERATED),
        "bjorck": (operators, ROUNDED),
        "orthogonal": (operators, ROUNDED),
        "aol": (operators, ROUNDED),
        "gram_normalization": (operators, ROUNDED),
    }
)


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - IN_FORWARD))
def test_every_method_makes_a_step_in_bf16_and_keeps_its_bound(name: str) -> None:
    kind = CATALOGUE[name]
    built = task("bf16", kind())
    before = [raw_weight(layer).detach().clone() for _, layer in weighted_layers(built.discriminator)]
    built.step(0.0)
    assert built.is_finite()
    for net in (built.discriminator, built.generator):
        assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
        assert not {torch.bfloat16} & {buffer.dtype for buffer in net.buffers()}
    layers = [layer for _, layer in weighted_layers(built.discriminator)]
    for old, layer in zip(before, layers, strict=True):
        assert not torch.equal(old, raw_weight(layer))
        assert layer.weight.dtype == torch.float32
    bounds_weights = kind.project is not Constraint.project or any(reparametrizations(layer) for layer in layers)
    assert bounds_weights == (name in BOUNDS)
    if bounds_weights:
        measured, most = BOUNDS[name]
        with torch.no_grad():
            assert measured(built.discriminator) <= most


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


def test_methods_that_differentiate_in_every_forward_pass_are_refused() -> None:
    for name, kind in CATALOGUE.items():
        for precision in ("float32", "tf32"):
            check_constraint(precision, kind())
        if name in IN_FORWARD:
            with pytest.raises(Refusal, match=rf"^{name} takes the gradient .* allowed: precision: float32 or tf32$"):
                check_constraint("bf16", kind())
        else:
            check_constraint("bf16", kind())


def written(folder: Path, training: str = "", constraints: str = "[none, gradient_penalty]") -> Path:
    path = folder / "small.yaml"
    text = SWEEP.replace("batch_size: 4", f"batch_size: 4{training}")
    path.write_text(text.replace("[none, gradient_penalty]", constraints))
    return path


def test_a_refusal_says_where(tmp_path: Path) -> None:
    path = written(tmp_path, ", precision: bf16", "[none, gradient_normalization]")
    with pytest.raises(
        InputError, match=r"small.yaml:5: constraints\[1\]: .*gradient_normalization takes the gradient"
    ):
        load_sweep(path)
    with pytest.raises(InputError, match=r"small.yaml:7: training.precision: .*'float32', 'tf32' or 'bf16'.*'fp16'"):
        load_sweep(written(tmp_path, ", precision: fp16"))


def test_precision_is_part_of_what_a_run_is_unless_it_is_float32(tmp_path: Path) -> None:
    plain, named, rough = (
        load_sweep(written(tmp_path, more)).runs[0] for more in ("", ", precision: float32", ", precision: bf16")
    )
    assert named.id == plain.id
    assert "precision" not in json.dumps(plain.canonical())
    assert rough.configuration != plain.configuration, "it is timed apart"
    assert (plain.labels()["setting"], rough.labels()["setting"]) == ("C", "C [bf16]"), "it is compared apart"
    assert rough.definition(4)["run"]["training"]["precision"] == "bf16"
    assert plain.definition(4)["run"]["training"]["precision"] == "float32"


def test_a_job_trains_in_the_precision_of_its_run(tmp_path: Path) -> None:
    (run, _) = load_sweep(written(tmp_path, ", precision: bf16")).runs
    built, seen = Job(run, tmp_path, None, "cpu", {}).build(), []
    assert isinstance(built, Generation)
    built.generator.get_submodule("output").register_forward_hook(lambda _, args, output: seen.append(output.dtype))
    built.step(0.0)
    assert set(seen) == {torch.bfloat16}


def test_there_is_no_tf32_on_a_cpu(tmp_path: Path) -> None:
    (run, _) = load_sweep(written(tmp_path, ", precision: tf32")).runs
    said = "^precision tf32 cannot be had on cpu; allowed there: float32 or bf16$"
    with pytest.raises(InputError, match=said):
        Job(run, tmp_path, None, "cpu", {}).build()
    with pytest.raises(InputError, match=said):
        check_precisions(["float32", "tf32"], ["cpu", "cpu"])
    check_precisions(["float32", "bf16"], ["cpu"])
    request = Request(written(tmp_path, ", precision: tf32"), None, None, ["cpu"], None, None)
    with pytest.raises(InputError, match=said):
        request.check(request.plan())


def test_an_old_device_knows_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.version, "hip", None)
    for precision in ("tf32", "bf16"):
        with pytest.raises(
            InputError, match=f"^precision {precision} needs compute capability 8.0, and cuda:0 has 7.5"
        ):
            check_precisions([precision], ["cuda:0"])
    check_precisions(["float32"], ["cuda:0"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    check_precisions(["tf32", "bf16"], ["cuda:0"])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_it_trains_on_a_gpu(precision: Precision) -> None:
    device = torch.device("cuda")
    rough, exact = (task(one, GradientPenalty(), device=device) for one in (precision, "float32"))
    for one in (rough, exact):
        one.step(0.0)
    assert rough.is_finite()
    ours, theirs = (list(one.discriminator.parameters()) for one in (rough, exact))
    assert any(not torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
