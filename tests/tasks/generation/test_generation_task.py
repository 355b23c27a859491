"""The task of the comparison: one thing changes at a time, and measuring changes nothing."""

import copy
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from gan_terms import TERMS, with_terms
from torch.testing import assert_close

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.datasets.base import Dataset
from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.points import EightGaussians
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.generation.quality import metrics_of
from lipschitz.tasks.settings import SETTINGS, Setting

CPU = torch.device("cpu")


def points(
    *constraints: Constraint, setting: Setting = SETTINGS["C"], seed: int = 0, device: torch.device = CPU
) -> GANTraining:
    return generation(EightGaussians(), MLP(width=16, depth=2), constraints, setting, seed, device)


def images(*constraints: Constraint) -> GANTraining:
    return generation(Digits(), DCGAN(width=4), constraints, SETTINGS["C"], 0)


def generation(
    dataset: Dataset, model: Any, constraints: Any, setting: Setting, seed: int, device: torch.device = CPU
) -> GANTraining:
    return GANTraining(
        dataset.load(None, device),
        with_terms(
            TERMS,
            model=model,
            constraints=constraints or (NoConstraint(),),
            setting=setting,
            seed=seed,
            batch_size=16,
            samples=64,
            gradient_samples=32,
            selection=metrics_of(dataset)[0],
            device=device,
        ),
    )


class Spy(Constraint):
    """Remembers the batches that the discriminator saw."""

    promise = "none"
    source = "this test"

    def penalty(self, net: Any, batch: Any, rng: torch.Generator) -> torch.Tensor:
        SEEN.append((batch.real.clone(), batch.fake.clone()))
        return super().penalty(net, batch, rng)


SEEN: list[tuple[torch.Tensor, torch.Tensor]] = []


def seen_by(*constraints: Constraint) -> list[tuple[torch.Tensor, torch.Tensor]]:
    SEEN.clear()
    task = points(*constraints, Spy(), setting=SETTINGS["A"])
    task.step(0.0)
    return list(SEEN)


@pytest.mark.parametrize("constraint", [WeightClipping(), GradientPenalty(), SpectralNormalization()])
def test_methods_see_the_same_batches_and_noise(constraint: Constraint) -> None:
    ours, theirs = seen_by(constraint), seen_by(NoConstraint())
    assert len(ours) == 5
    for (real, generated), (other_real, other_generated) in zip(ours, theirs, strict=True):
        assert torch.equal(real, other_real)
        assert torch.equal(generated, other_generated), "until the first generator step the generators are the same"


@pytest.mark.parametrize("constraint", [WeightClipping(), GradientPenalty(), SpectralNormalization()])
def test_methods_start_from_the_same_raw_parameters(constraint: Constraint) -> None:
    ours, theirs = images(constraint), images(NoConstraint())
    pairs = zip(weighted_layers(ours.discriminator), weighted_layers(theirs.discriminator), strict=True)
    for (_, layer), (_, other) in pairs:
        assert torch.equal(raw_weight(layer), raw_weight(other))
    for name, value in ours.generator.state_dict().items():
        assert torch.equal(value, theirs.generator.state_dict()[name])


class InNorm(Constraint):
    """Batch normalisation in the discriminator, as some method may put it there."""

    source: ClassVar[str] = "arXiv:1502.03167"
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"

    def wrap(self, net: torch.nn.Module, shape: tuple[int, ...]) -> torch.nn.Module:
        return torch.nn.Sequential(net, torch.nn.BatchNorm1d(1, device=next(net.parameters()).device))


def batches_judged(task: GANTraining) -> list[int]:
    seen: list[int] = []
    task.discriminator.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    task.discriminator_step()
    return seen


def test_on_a_cpu_real_and_generated_samples_are_judged_in_two_passes() -> None:
    assert batches_judged(points()) == batches_judged(points(InNorm())) == [16, 16]


@pytest.mark.gpu
def test_on_a_gpu_they_are_judged_in_one_unless_a_module_depends_on_the_batch() -> None:
    assert batches_judged(points(device=torch.device("cuda"))) == [32]
    assert batches_judged(points(InNorm(), device=torch.device("cuda"))) == [16, 16]


def test_one_pass_comes_to_what_two_come_to() -> None:
    in_two, in_one = images(SpectralNormalization()), images(SpectralNormalization())
    in_one._discriminator._separate_passes = False
    assert batches_judged(in_two) == [16, 16]
    assert batches_judged(in_one) == [32]
    ours, theirs = (task.state_dict()["players"]["discriminator"]["optimiser"]["state"] for task in (in_one, in_two))
    for index, moments in theirs.items():
        # The first moment is the gradient, but for a factor; an update would be its sign, rounding and all.
        assert_close(ours[index]["exp_avg"], moments["exp_avg"], rtol=1e-3, atol=1e-6)


def test_seeds_differ() -> None:
    first, second = points(seed=0), points(seed=1)
    assert not torch.equal(first.generator.output.weight, second.generator.output.weight)  # type: ignore[union-attr,arg-type]


def test_an_iteration_is_n_dis_discriminator_updates_and_one_of_the_generator() -> None:
    task = points(setting=SETTINGS["D"])
    task.step(0.0)
    players = task.state_dict()["players"]
    assert players["discriminator"]["optimiser"]["state"][0]["step"] == 5
    assert players["generator"]["optimiser"]["state"][0]["step"] == 1


def test_linear_decay_scales_the_learning_rate_of_both() -> None:
    task = points(setting=Setting(lr=1e-3, decay="linear"))
    task.step(0.75)
    for player in task.state_dict()["players"].values():
        assert player["optimiser"]["param_groups"][0]["lr"] == pytest.approx(2.5e-4)


def test_a_generator_step_leaves_the_discriminator_alone() -> None:
    task = points(SpectralNormalization())
    task.discriminator_step()
    before = {name: value.clone() for name, value in task.discriminator.state_dict().items()}
    task.generator_step()
    for name, value in task.discriminator.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("constraint", [NoConstraint(), SpectralNormalization(), GradientPenalty()])
def test_the_discriminator_does_not_learn_in_a_generator_step(constraint: Constraint) -> None:
    task = points(constraint)
    asked: list[list[bool]] = []
    parameters = list(task.discriminator.parameters())
    task.discriminator.register_forward_pre_hook(lambda *_: asked.append([one.requires_grad for one in parameters]))
    task.discriminator_step()
    assert all(map(all, asked))
    asked.clear()
    gradients = [None if one.grad is None else one.grad.clone() for one in parameters]
    task.generator_step()
    assert asked == [[False] * len(parameters)]
    for one, before in zip(parameters, gradients, strict=True):
        assert one.grad is None if before is None else torch.equal(one.grad, before), "no gradient is accumulated"
    asked.clear()
    task.discriminator_step()
    assert all(map(all, asked)), "it learns again in its own step"


@pytest.mark.parametrize("make", [points, images])
def test_measuring_changes_nothing(make: Any) -> None:
    ours, theirs = make(SpectralNormalization()), make(SpectralNormalization())
    for task in (ours, theirs):
        task.step(0.0)
    ours.evaluate("a")
    ours.arrays()
    ours.facts()
    for task in (ours, theirs):
        task.step(0.5)
    for player in ("generator", "discriminator"):
        other = theirs.snapshot()["players"][player]["net"]
        for name, value in ours.snapshot()["players"][player]["net"].items():
            assert torch.equal(value, other[name])


def test_an_evaluation_draw_repeats_and_another_differs() -> None:
    task = points()
    assert task.evaluate("a") == task.evaluate("a")
    assert task.evaluate("a")["w1"] != task.evaluate("b")["w1"]


def test_what_is_measured_has_the_documented_names() -> None:
    values = images().evaluate("a")
    layers = [f"blocks.{index}.conv" for index in range(7)] + ["output"]
    places = ["real", "fake", "interpolated", "old", "noise"]
    expected = {"frechet_classifier", "w1_classifier", "kid_classifier"}
    expected |= {f"{loss}/{player}" for loss in ("loss", "loss_mean") for player in ("discriminator", "generator")}
    expected |= {"lipschitz_lower", "lipschitz_upper", "lipschitz_upper_product", "lipschitz_ratio"}
    of_layers = ("sigma_reshaped", "sigma_operator", "sigma_upper", "effective_rank")
    expected |= {f"{metric}/{layer}" for metric in of_layers for layer in layers}
    expected |= {f"{norm}/{place}" for norm in ("gradient_norm", "gradient_norm_max") for place in places}
    expected |= {"generator_gradient/parameters", "generator_gradient/samples"}
    assert set(values) == expected
    steepest = max(values[f"gradient_norm_max/{place}"] for place in places[:3])
    assert steepest * (1 - 1e-8) <= values["lipschitz_lower"] <= values["lipschitz_upper"]
    assert all(values[f"sigma_operator/{layer}"] <= values[f"sigma_upper/{layer}"] for layer in layers)


def test_state_round_trip_goes_on_bit_for_bit() -> None:
    task = points(SpectralNormalization())
    task.step(0.0)
    task.evaluate("a")
    task.keep_for_next_evaluation()
    task.step(0.1)
    state = copy.deepcopy(task.state_dict())
    other = points(SpectralNormalization())
    other.load_state_dict(state)
    for one in (task, other):
        one.step(0.5)
    assert task.evaluate("a") == other.evaluate("a")


def test_not_a_number_is_noticed() -> None:
    task = points()
    task.step(0.0)
    assert task.is_finite()
    with torch.no_grad():
        task.generator.output.bias[0] = torch.nan  # type: ignore[union-attr,index]
    assert not task.is_finite()


def test_arrays_show_samples_spectra_and_the_surface() -> None:
    task = points()
    for draw in ("a", "b"):
        task.evaluate(draw)
        task.keep_for_next_evaluation()
        task.step(0.0)
    arrays = task.arrays()
    assert arrays["samples"].shape == arrays["real"].shape == (1000, 2)
    assert (arrays["surface"].shape, arrays["surface_extent"].dtype) == ((96, 96), np.float32)
    spectrum = arrays["spectrum/blocks.0.linear"]
    assert spectrum.shape == (2,)
    assert spectrum[0] >= spectrum[1]
    spectra = arrays["spectra/blocks.0.linear"]
    assert spectra.shape == (2, 2)
    assert np.array_equal(spectra[1], spectrum)
    assert not np.array_equal(spectra[0], spectrum)
    shown = images().arrays()
    assert shown["samples"].dtype == np.uint8
    assert shown["samples"].shape == (64, 8, 8, 1)


@pytest.mark.parametrize("build", [points, images])
def test_methods_and_steps_are_shown_at_the_same_latents(build: Callable[..., GANTraining]) -> None:
    seen: list[torch.Tensor] = []
    tasks = [build(), build(SpectralNormalization()), build(WeightClipping())]
    tasks[1].step(0.0)
    for task in tasks:
        task.generator.register_forward_hook(lambda _, args, output: seen.append(args[0]))
        first = len(seen)
        shown = task.arrays()
        seen[first:] = [torch.cat(seen[first:])]
        assert len(shown["samples"]) == len(seen[-1])
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])


def test_the_surface_is_the_discriminator_on_the_grid() -> None:
    task = points()
    arrays = task.arrays()
    xmin, xmax, ymin, _ = map(float, arrays["surface_extent"])
    corners = torch.tensor([[xmin, ymin], [xmax, ymin]])
    assert_close(torch.from_numpy(arrays["surface"][0, [0, -1]]), task.discriminator(corners).flatten().detach())


def test_a_snapshot_brings_back_all_that_is_measured() -> None:
    task = points(SpectralNormalization())
    task.step(0.0)
    before, snapshot = task.evaluate("a"), task.snapshot()
    for _ in range(3):
        task.step(0.5)
    task.keep_for_next_evaluation()
    task.load_snapshot(snapshot)
    assert task.evaluate("a") == before
