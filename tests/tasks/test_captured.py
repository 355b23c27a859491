"""Captured iterations equal plain ones, whatever the constraint: on CUDA, and on the CPU by an imitation of a graph."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from fake_cuda_graph import FakeCudaGraph
from gan_terms import TERMS, with_terms
from small_classification_task import classification
from small_transport_task import transport
from torch import Tensor

from lipschitz.constraints.base import CONSTRAINTS, Batch, Constraint, Refusal
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.orthogonal import Orthogonal
from lipschitz.constraints.spectral_cap import SpectralCap
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.constraints.zero_centered_penalty import ZeroCenteredPenalty
from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.datasets.points import EightGaussians
from lipschitz.datasets.transport.funnels import Funnels
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.models.mlp_classifier import MLPClassifier
from lipschitz.models.resnet import ResNet
from lipschitz.tasks.augmentation import Crop, DiffAugment, Flip
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.losses import Relativistic
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import Terms
from lipschitz.tf32 import float32_products
from lipschitz.training.iterations import WARM_UP, CapturedIterations, CudaGraph, Iterations, Uncapturable, together
from lipschitz.training.loop import SLICE
from lipschitz.training.task import Task

STEPS, TOGETHER = 100, 2
MADE = WARM_UP + 3 * TOGETHER + 1
"""Warm up, replay three times, and make the odd one alone."""
POINTS = with_terms(TERMS, model=MLP(width=8, depth=2), selection="w1")
IMAGES = with_terms(TERMS, model=DCGAN(width=2), batch_size=4)


TOLERANCE = 1e-5
"""Relative, on CUDA, where cuDNN is kept to algorithms that repeat; on the CPU a replay is the same bit for bit."""


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device, with a stream of the test's own where it has streams."""
    found = torch.device(request.param)
    stream = torch.cuda.Stream() if found.type == "cuda" else None
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    with torch.cuda.stream(stream), float32_products("ieee"):
        yield found


def images(terms: Terms = IMAGES, channels: int = 1) -> GANTraining:
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    splits = [Split(torch.randint(256, (64, channels, 8, 8), generator=rng, dtype=torch.uint8), labels) for _ in "ab"]
    return GANTraining(ImageData.load(*splits, terms.device, classes=2), terms)


def points(terms: Terms = POINTS) -> GANTraining:
    return GANTraining(EightGaussians().load(None, terms.device), terms)


def never() -> bool:
    return False


def captured(task: Task, start: int = 0) -> CapturedIterations:
    on_cuda = task.device.type == "cuda"
    generators = list(task.random_streams())
    graph = CudaGraph(torch.cuda.current_stream(), generators) if on_cuda else FakeCudaGraph(generators)
    made = CapturedIterations(task, STEPS, graph, TOGETHER)
    made.start(start)
    return made


def leaves(state: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(state, Mapping):
        for key, value in state.items():
            yield from leaves(value, f"{name}/{key}")
    elif isinstance(state, list | tuple):
        for index, value in enumerate(state):
            yield from leaves(value, f"{name}/{index}")
    else:
        yield name, state


def same(ours: Any, theirs: Any) -> bool:
    if not isinstance(ours, Tensor):
        return bool(ours == theirs)
    if ours.device.type == "cuda" and ours.is_floating_point():
        return torch.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)
    return torch.equal(ours, theirs)


def assert_equal(one: Task, other: Task) -> None:
    ours, theirs = dict(leaves(one.state_dict())), dict(leaves(other.state_dict()))
    assert not ours.keys() ^ theirs.keys()
    differing = [name for name, value in ours.items() if not same(value, theirs[name])]
    assert not differing


def assert_captured_as_plain(build: Callable[[], Task]) -> None:
    try:
        plain, replayed, start = (build() for _ in range(3))
    except Refusal as reason:
        pytest.skip(str(reason))
    if plain.device.type == "cuda" and (why := plain.uncapturable_reason()):
        pytest.skip(why)
    iterations = captured(replayed)
    try:
        made = iterations.make(MADE, never)
    except Uncapturable:
        # Then the method must have said so.
        assert plain.uncapturable_reason()
        return
    assert Iterations(plain, STEPS).make(MADE, never) == made == MADE
    assert iterations._captured
    assert_equal(plain, replayed)
    iterations.release()
    with pytest.raises(AssertionError):
        assert_equal(plain, start)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_every_constraint_captures_on_points(name: str, device: torch.device) -> None:
    assert_captured_as_plain(lambda: points(with_terms(POINTS, constraints=(CONSTRAINTS[name](),), device=device)))


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_every_constraint_captures_on_images(name: str, device: torch.device) -> None:
    assert_captured_as_plain(lambda: images(with_terms(IMAGES, constraints=(CONSTRAINTS[name](),), device=device)))


@pytest.mark.parametrize(
    "name", ["none", "weight_clipping", "gradient_penalty", "spectral_normalization", "orthogonal"]
)
def test_a_critic_captures(name: str, device: torch.device) -> None:
    data = Funnels(dim=2, width=4).load(None, device)
    assert_captured_as_plain(lambda: transport(CONSTRAINTS[name](), data=data, device=device))


@pytest.mark.parametrize(
    "name", ["none", "zero_centered_penalty", "spectral_normalization", "orthogonal", "consistency_regularization"]
)
def test_a_classifier_captures(name: str, device: torch.device) -> None:
    fields = {"shift": 1} if name == "consistency_regularization" else {}
    assert_captured_as_plain(lambda: classification(CONSTRAINTS[name](**fields), device=device))


@pytest.mark.parametrize("decay", ["cosine", "one_cycle", "step"])
def test_a_classifier_with_dropout_augmentation_and_schedule_captures(decay: Any, device: torch.device) -> None:
    setting = Setting(decay=decay, decay_at=[0.02, 0.05] if decay == "step" else [])
    model, augment = MLPClassifier(width=8, depth=2, dropout=0.3), (Crop(padding=1), Flip())
    assert_captured_as_plain(lambda: classification(setting=setting, model=model, augment=augment, device=device))


VARIANTS: Mapping[str, Terms] = {
    "linear decay and n_dis": with_terms(IMAGES, setting=Setting(lr=1e-3, n_dis=2, decay="linear")),
    "average of weights": with_terms(IMAGES, ema=0.9),
    "conditional": with_terms(IMAGES, model=DCGAN(width=2, conditional=True)),
    "resnet with attention": with_terms(IMAGES, model=ResNet(width=2, attention=4)),
    "bfloat16": with_terms(IMAGES, precision="bf16", constraints=(SpectralNormalization(),)),
    "channels last": with_terms(
        IMAGES, layout="channels_last", constraints=(SpectralNormalization(), GradientPenalty())
    ),
    "bounded generator": with_terms(IMAGES, generator_constraints=(SpectralNormalization(),)),
    "two methods": with_terms(IMAGES, constraints=(SpectralNormalization(operator="convolution"), GradientPenalty())),
    "muon, and sgd for the generator": with_terms(
        IMAGES,
        setting=Setting(
            optimiser={"sgd": {"momentum": 0.5, "weight_decay": 0.1}},
            discriminator_optimiser={"muon": {"weight_decay": 0.1}},
            decay="linear",
        ),
    ),
    "hard cap": with_terms(IMAGES, constraints=(SpectralCap(mode="hard"),)),
    "adamw": with_terms(IMAGES, setting=Setting(optimiser="adamw", decay="linear")),
    "augmented": with_terms(IMAGES, augment=(Flip(), DiffAugment()), loss=Relativistic(), layout="channels_last"),
    "R3GAN": with_terms(IMAGES, loss=Relativistic(), constraints=(ZeroCenteredPenalty(points="both"),)),
    "rmsprop": with_terms(IMAGES, constraints=(WeightClipping(),), setting=Setting(optimiser="rmsprop", lr=5e-5)),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_kind_of_run_captures(variant: str, device: torch.device) -> None:
    if variant == "rmsprop" and device.type == "cpu":
        pytest.skip("on the CPU torch's RMSprop counts its steps on the host; on CUDA it does not")
    assert_captured_as_plain(lambda: images(with_terms(VARIANTS[variant], device=device)))


def test_a_learning_rate_that_decays_does_so_inside_a_graph(device: torch.device) -> None:
    task = images(with_terms(VARIANTS["linear decay and n_dis"], device=device))
    captured(task).make(MADE, never)
    (group,) = task.state_dict()["players"]["generator"]["optimiser"]["param_groups"]
    assert float(group["lr"]) == pytest.approx(1e-3 * (1 - (MADE - 1) / STEPS), rel=1e-6)


def test_going_on_from_a_checkpoint_between_two_replays_equals_going_on(device: torch.device) -> None:
    whole, first, second = (points(with_terms(POINTS, device=device)) for _ in range(3))
    captured(whole).make(2 * MADE, never)
    captured(first).make(MADE, never)
    second.load_state_dict(first.state_dict())
    captured(second, start=MADE).make(MADE, never)
    assert_equal(whole, second)


def test_seeds_draw_different_noise_and_one_seed_the_same(device: torch.device) -> None:
    tasks = [points(with_terms(POINTS, seed=seed, device=device)) for seed in (0, 1, 0)]
    for task in tasks:
        captured(task).make(MADE, never)
    first, other, again = (dict(leaves(task.state_dict()["streams"])) for task in tasks)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    assert_equal(tasks[0], tasks[2])


def test_nothing_more_is_made_once_told_to_stop(device: torch.device) -> None:
    iterations = captured(points(with_terms(POINTS, device=device)))
    asked = iter([False] * (WARM_UP + 2) + [True])
    assert iterations.make(20, lambda: next(asked)) == WARM_UP + 2 * TOGETHER


class Looks(Constraint):
    """Waits for a value in each step."""

    source, promise = "this test", "none"

    def penalty(self, net: torch.nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        return batch.real.new_zeros(()) if batch.real.sum().item() > 0 else batch.real.new_ones(())


class Counts(Constraint):
    """Makes a decision of the host's own in each step, which a graph would repeat as it was once."""

    source, promise = "this test", "none"

    def penalty(self, net: torch.nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        step = getattr(net, "step", 0)
        net.step = step + 1  # type: ignore[assignment]
        return step * net(batch.real).mean()


class FromHost(Constraint):
    """Copies a number from the host in each step."""

    source, promise = "this test", "none"

    def penalty(self, net: torch.nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        return torch.tensor([1.0], device=batch.real.device).sum()


class Draws(Constraint):
    """Draws from torch's own generator."""

    source, promise = "this test", "none"

    def penalty(self, net: torch.nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        return torch.rand((), device=batch.real.device)


@pytest.mark.gpu
def test_ten_thousand_replays_allocate_nothing() -> None:
    device = torch.device("cuda")
    with torch.cuda.stream(torch.cuda.Stream()):
        task = points(with_terms(POINTS, device=device, constraints=(SpectralNormalization(), GradientPenalty())))
        iterations = captured(task)
        iterations.make(20 * TOGETHER, never)
        torch.cuda.synchronize()
        before = torch.cuda.memory_stats(device)
        iterations.make(10_000 * TOGETHER, never)
        torch.cuda.synchronize()
        after = torch.cuda.memory_stats(device)
    for counted in ("allocation.all.allocated", "reserved_bytes.all.current", "allocated_bytes.all.current"):
        assert after[counted] == before[counted], counted
    assert task.is_finite()


def test_what_a_method_says_cannot_be_captured_is_not_tried() -> None:
    task = transport(Orthogonal())
    assert task.uncapturable_reason() == f"orthogonal: {Orthogonal.uncapturable}"
    assert transport(SpectralNormalization()).uncapturable_reason() is None
    bounded = with_terms(IMAGES, generator_constraints=(SpectralNormalization(),))
    assert images(bounded).uncapturable_reason() is None


@pytest.mark.parametrize(("every", "at_once"), [(500, 10), (40, 10), (25, 5), (15, 5), (7, 1), (1, 1)])
def test_a_graph_holds_as_many_iterations_as_fill_every_slice(every: int, at_once: int) -> None:
    assert together(SLICE, every) == at_once


def test_what_waits_for_the_device_says_why_it_is_not_captured() -> None:
    with pytest.raises(Uncapturable, match="not permitted when stream is capturing"):
        captured(points(with_terms(POINTS, constraints=(Looks(),)))).make(MADE, never)


@pytest.mark.parametrize("kind", [FromHost, Draws])
def test_the_imitation_refuses_what_cuda_refuses_or_gets_wrong(kind: type[Constraint]) -> None:
    with pytest.raises(Uncapturable):
        captured(points(with_terms(POINTS, constraints=(kind(),)))).make(MADE, never)


def test_the_imitation_repeats_what_the_host_decided() -> None:
    tasks = [points(with_terms(POINTS, constraints=(Counts(),))) for _ in "ab"]
    Iterations(tasks[0], STEPS).make(MADE, never)
    captured(tasks[1]).make(MADE, never)
    with pytest.raises(AssertionError):
        assert_equal(*tasks)
