"""The task whose answer is known: critics that are worked out by hand, and what must not depend on the constraint."""

import copy
import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Constraint, Refusal
from lipschitz.constraints.catalogue import CATALOGUE as CONSTRAINTS
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.orthogonal import Orthogonal
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.datasets.funnels import Funnels
from lipschitz.datasets.pairs import PairData
from lipschitz.datasets.rays import Geometry
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.models.base import Activation
from lipschitz.models.critic import Critic
from lipschitz.streams import stream
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.potential import AS_PUBLISHED, METRICS, PotentialEvaluator
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.transport import Transport

CPU = torch.device("cpu")
FUNNELS = Funnels(dim=2, width=4).load(None, CPU)
DISTANCE = 1.5
SETTING = Setting(lr=1e-3, betas=(0.0, 0.9))


def translation(dimension: int = 3) -> PairData:
    """Q standard normal, P the same moved along the first axis."""
    direction = torch.eye(dimension, dtype=torch.float64)[0]
    return PairData(
        dimension,
        lambda n, rng, dtype: torch.randn(n, dimension, generator=rng, dtype=dtype),
        lambda y: y + DISTANCE * direction.to(y.dtype),
        lambda x: x @ direction.to(x.dtype),
        lambda y: direction.to(y.dtype).expand_as(y),
        DISTANCE,
        0.0,
        "translation",
    )


def transport(
    *constraints: Constraint,
    data: PairData = FUNNELS,
    activation: Activation = "relu",
    setting: Setting = SETTING,
    seed: int = 0,
    selection: str = "cosine",
) -> Transport:
    return Transport(
        data,
        Critic(width=16, activation=activation),
        constraints or (NoConstraint(),),
        LOSSES["wasserstein"],
        setting,
        seed=seed,
        batch_size=32,
        samples=128,
        gradient_samples=16,
        selection=selection,
        device=CPU,
    )


def measured(critic: nn.Module, data: PairData, samples: int = 512) -> dict[str, float]:
    evaluator = PotentialEvaluator(data, seed=0, samples=samples, gradient_samples=32, device=CPU)
    return evaluator.evaluate(critic, {}, "a").values


class Known(nn.Module):
    """A multiple of the optimal potential, as a critic."""

    def __init__(self, data: PairData, factor: float) -> None:
        super().__init__()
        self.potential, self.factor, self.lipschitz_constant = data.potential, factor, abs(factor)

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.potential(x)[:, None]


def linear(*weights: float, bias: float = 0.3) -> nn.Sequential:
    layer = nn.Linear(len(weights), 1)
    layer.weight.data, layer.bias.data = torch.tensor([weights]), torch.tensor([bias])
    return nn.Sequential(layer)


METHODS: list[Callable[[], Constraint]] = [
    WeightClipping,
    GradientPenalty,
    SpectralNormalization,
    Orthogonal,
]
SEEN: list[tuple[Tensor, Tensor]] = []


class Spy(Constraint):
    """Remembers the batches that the critic saw."""

    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"
    source: ClassVar[str] = "this test"

    def penalty(self, net: Any, batch: Any, rng: torch.Generator) -> Tensor:
        SEEN.append((batch.real.clone(), batch.fake.clone()))
        return super().penalty(net, batch, rng)


def seen_by(*constraints: Constraint, seed: int = 0, evaluated: bool = False) -> list[tuple[Tensor, Tensor]]:
    SEEN.clear()
    task = transport(*constraints, Spy(), seed=seed)
    for progress in (0.0, 0.3, 0.6):
        task.step(progress)
        if evaluated:
            task.evaluate("a")
            task.end_interval()
    return list(SEEN)


@pytest.mark.parametrize("method", METHODS)
def test_methods_see_the_same_batches(method: Callable[[], Constraint]) -> None:
    ours, theirs = seen_by(method(), evaluated=True), seen_by()
    assert len(ours) == 3
    for (real, fake), (other_real, other_fake) in zip(ours, theirs, strict=True):
        assert torch.equal(real, other_real)
        assert torch.equal(fake, other_fake)


@pytest.mark.parametrize("method", METHODS)
def test_methods_start_from_the_same_raw_parameters(method: Callable[[], Constraint]) -> None:
    ours, theirs = transport(method()).critic, transport().critic
    pairs = list(zip(weighted_layers(ours), weighted_layers(theirs), strict=True))
    assert len(pairs) == 3
    for (_, layer), (_, other) in pairs:
        assert torch.equal(raw_weight(layer), raw_weight(other))
        assert torch.equal(layer.bias, other.bias)


def test_the_critic_s_initial_weights_are_the_model_s_own() -> None:
    # From the stream of weights, whatever was drawn before from torch's global generator, which is put back.
    torch.manual_seed(1)
    first = transport().critic.state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = transport().critic.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    other = transport(seed=1).critic.state_dict()
    assert not torch.equal(other["output.weight"], first["output.weight"])


def test_batches_are_independent_float32_draws_of_p_and_q() -> None:
    (first, again), (second, _), _ = seen_by()
    rng = stream(0, "data")
    source, target = FUNNELS.source(32, rng), FUNNELS.target(32, rng)
    assert torch.equal(first, source), "P is what the critic calls real"
    assert torch.equal(again, target)
    assert first.dtype == again.dtype == torch.float32
    assert not torch.allclose(FUNNELS.move(again), first), "not rows of the optimal plan"
    assert not torch.equal(first, second)
    assert not torch.equal(seen_by(seed=1)[0][0], first)


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0])
@pytest.mark.parametrize("data", [FUNNELS, translation()], ids=["funnels", "translation"])
def test_what_is_measured_of_the_optimal_potential_and_its_multiples(data: PairData, factor: float) -> None:
    values = measured(Known(data, factor), data, samples=2048)
    assert values["cosine"] == pytest.approx(math.copysign(1, factor), abs=1e-3)
    assert values["l2"] == pytest.approx((factor - 1) ** 2, abs=5e-3)
    # By the rows of the plan the noise of 2048 samples is that of the lengths of the moves alone.
    assert values["w1_dual"] == pytest.approx(factor * data.w1, rel=0.05)
    assert values["w1_error"] == pytest.approx(abs(factor - 1), abs=0.05 * abs(factor))
    # Steeper critics claim more, not their multiples of the slope that they have.
    for bound in ("lower", "upper"):
        assert values[f"lipschitz_{bound}"] == pytest.approx(abs(factor), rel=1e-3)
        assert values[f"w1_over_{bound}"] == pytest.approx(math.copysign(data.w1, factor), rel=0.05)


def test_a_linear_critic_by_hand() -> None:
    # Slope (0.6, 0.8, 0) / 2 against (1, 0, 0): cosine 0.6, distance² (0.3 - 1)² + 0.4², and 0.3 of 1.5 as the dual.
    values = measured(linear(0.3, 0.4, 0.0), translation())
    expected = {"cosine": 0.6, "l2": 0.65, "w1_dual": 0.45, "w1_error": 0.7, "w1_over_lower": 0.9, "w1_over_upper": 0.9}
    assert tuple(expected) == METRICS
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-6), name
    assert values["sigma_operator/0"] == pytest.approx(0.5, rel=1e-6)
    assert values["lipschitz_lower"] <= 0.5 * (1 + 1e-6)


def test_real_is_p_and_fake_is_q() -> None:
    # P on (1, 2), Q on (-2, -1): a ramp that rises on P alone.
    data = PairData(
        1,
        lambda n, rng, dtype: -1 - torch.rand(n, 1, generator=rng, dtype=dtype),
        lambda y: y + 3,
        lambda x: x[:, 0],
        torch.ones_like,
        3.0,
        0.0,
        "ramp",
    )
    values = measured(nn.Sequential(*linear(2.0, bias=0.0), nn.ReLU()), data)
    assert values["gradient_norm/real"] == values["gradient_norm_max/real"] == pytest.approx(2, rel=1e-6)
    assert values["gradient_norm/fake"] == 0
    assert 0 < values["gradient_norm/interpolated"] < 2
    assert values["cosine"] == pytest.approx(1), "the gradient is compared where P lies"
    assert values["l2"] == pytest.approx(1, rel=1e-6)
    # Twice the mean of P, which has a variance of 1/12.
    assert values["w1_dual"] == pytest.approx(3, abs=4 * 2 * math.sqrt(1 / 12 / 512))


def test_a_critic_without_slope_and_one_without_bound_are_measured_too() -> None:
    flat = measured(linear(0.0, 0.0, 0.0), translation())
    assert [flat[name] for name in METRICS[:4]] == [0, 1, 0, 1]
    assert all(math.isnan(flat[name]) for name in METRICS[4:])
    unbounded = measured(nn.Sequential(*linear(1.0, 0.0, 0.0), Squared()), translation())
    assert unbounded["lipschitz_upper"] == math.inf
    assert math.isnan(unbounded["w1_over_upper"])
    assert math.isfinite(unbounded["w1_over_lower"])


class Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.square()


@pytest.mark.parametrize("data", [FUNNELS, translation()], ids=["funnels", "translation"])
def test_training_climbs_towards_the_optimal_potential(data: PairData) -> None:
    task = transport(GradientPenalty(), data=data, setting=Setting(lr=1e-2, betas=(0.0, 0.9)))
    before = task.evaluate("a")
    for _ in range(200):
        task.step(0.0)
    after = task.evaluate("a")
    assert after["cosine"] > 0.5 > before["cosine"]
    assert after["w1_dual"] > 0.3 * data.w1
    assert after["w1_error"] < before["w1_error"]


def test_the_loss_is_the_negative_dual_on_the_last_batch() -> None:
    task = transport()
    weights = copy.deepcopy(task.critic)
    task.step(0.0)
    rng = stream(0, "data")
    source, target = FUNNELS.source(32, rng), FUNNELS.target(32, rng)
    expected = weights(target).mean() - weights(source).mean()
    assert task.evaluate("a")["loss/discriminator"] == pytest.approx(expected.item(), rel=1e-5)


class Hooked(Constraint):
    """Says when it was called, with what weight, and whether gradients were recorded."""

    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"
    source: ClassVar[str] = "this test"

    def update(self, net: nn.Module) -> None:
        self._called("update", net)

    def penalty(self, net: nn.Module, batch: Any, rng: torch.Generator) -> Tensor:
        self._called("penalty", net)
        return net.output.weight.sum() * 1e3  # type: ignore[union-attr,operator,return-value]

    def project(self, net: nn.Module) -> None:
        self._called("project", net)
        net.output.weight.add_(100)  # type: ignore[union-attr,operator]

    def _called(self, hook: str, net: nn.Module) -> None:
        CALLS.append((hook, net.output.weight.detach().clone(), torch.is_grad_enabled()))  # type: ignore[union-attr,operator]


CALLS: list[tuple[str, Tensor, bool]] = []


def test_a_method_s_hooks_stand_around_the_optimiser_s_step() -> None:
    CALLS.clear()
    task = transport(Hooked())
    before = task.critic.output.weight.detach().clone()  # type: ignore[union-attr,operator]
    task.step(0.0)
    assert [hook for hook, *_ in CALLS] == ["update", "penalty", "project"]
    assert [recorded for *_, recorded in CALLS] == [False, True, False]
    (_, at_update, _), (_, at_penalty, _), (_, at_projection, _) = CALLS
    assert torch.equal(at_update, before)
    assert torch.equal(at_penalty, before)
    # Adam's first step is by the learning rate, here down the penalty's slope, which outweighs all else.
    torch.testing.assert_close(at_projection, before - 1e-3)
    assert torch.equal(task.critic.output.weight, at_projection + 100)  # type: ignore[union-attr]
    assert abs(task.evaluate("a")["loss/discriminator"]) < 10, "the loss that is shown has no penalty"


def test_an_iteration_is_one_update() -> None:
    task = transport()
    for steps in (1, 2):
        task.step(0.0)
        assert task.state_dict()["critic"]["optimiser"]["state"][0]["step"] == steps
    ((name, part),) = task.parts().items()
    assert name == "ms_discriminator_step"
    part()
    assert task.state_dict()["critic"]["optimiser"]["state"][0]["step"] == 3


def test_linear_decay_scales_the_learning_rate() -> None:
    task = transport(setting=Setting(lr=1e-3, decay="linear"))
    task.step(0.75)
    assert task.state_dict()["critic"]["optimiser"]["param_groups"][0]["lr"] == pytest.approx(2.5e-4)


@pytest.mark.parametrize("method", [SpectralNormalization, Orthogonal])
def test_measuring_changes_nothing(method: Callable[[], Constraint]) -> None:
    ours, theirs = transport(method()), transport(method())
    for task in (ours, theirs):
        task.step(0.0)
    ours.evaluate("a")
    ours.arrays()
    ours.facts()
    for task in (ours, theirs):
        task.step(0.5)
    other = theirs.critic.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in ours.critic.state_dict().items())
    assert ours.critic.training


def test_an_evaluation_draw_repeats_and_another_differs() -> None:
    task = transport()
    assert task.evaluate("a") == task.evaluate("a")
    assert task.evaluate("a")["w1_dual"] != task.evaluate("b")["w1_dual"]


def test_what_is_measured_has_the_documented_names() -> None:
    values = transport().evaluate("a")
    layers = ["blocks.0.linear", "blocks.1.linear", "output"]
    expected = {*METRICS, "loss/discriminator", "lipschitz_lower", "lipschitz_upper", "lipschitz_ratio"}
    of_layers = ("sigma_reshaped", "sigma_operator", "sigma_upper", "effective_rank")
    expected |= {f"{metric}/{layer}" for metric in of_layers for layer in layers}
    places = ("real", "fake", "interpolated")
    expected |= {f"{norm}/{place}" for norm in ("gradient_norm", "gradient_norm_max") for place in places}
    assert set(values) == expected
    for bound in ("lower", "upper"):
        assert values[f"w1_over_{bound}"] == pytest.approx(values["w1_dual"] / values[f"lipschitz_{bound}"])


def test_the_floor_is_what_the_metrics_say_of_the_optimal_potential() -> None:
    facts = transport().facts()
    assert set(facts["floor"]) == set(facts["protocols"]) == set(METRICS)
    assert facts["floor"]["cosine"] == pytest.approx(1, abs=1e-2)
    assert facts["floor"]["l2"] == pytest.approx(0, abs=1e-2)
    assert facts["floor"]["w1_over_upper"] == facts["floor"]["w1_over_lower"] == facts["floor"]["w1_dual"]
    assert facts["floor"]["w1_dual"] == pytest.approx(FUNNELS.w1, rel=0.2)
    assert facts["protocols"]["w1_error"] == {
        "samples": 128,
        "of": "the optimal plan",
        "w1": pytest.approx(FUNNELS.w1, rel=1e-5),
        "w1_standard_error": pytest.approx(FUNNELS.w1_error, rel=1e-5),
    }
    assert facts["protocols"]["cosine"] == {"samples": 128, "of": "the optimal plan"}


def test_as_published_the_optimal_gradient_is_zero_where_float32_loses_the_distance() -> None:
    # In the plane a ninth of P lies that near to a centre, and P and Q are drawn apart.
    geometry = Geometry(*Funnels(dim=2, width=4)._drawn(), 8.0)
    data = replace(FUNNELS, potential_as_published=lambda x: -geometry.height_as_published(x))
    evaluator = PotentialEvaluator(data, seed=0, samples=4096, gradient_samples=8, device=CPU)
    facts = evaluator.facts()
    floor = facts["floor"]
    assert 0.8 < floor["cosine_float32"] < 0.95
    assert floor["cosine_float32"] + floor["l2_float32"] == pytest.approx(1, abs=0.03)
    assert floor["cosine"] == pytest.approx(1, abs=1e-3)
    assert floor["w1_independent"] == pytest.approx(data.w1, abs=0.05)
    assert floor["w1_independent"] != floor["w1_dual"]
    assert set(facts["protocols"]) == {*METRICS, *AS_PUBLISHED}
    assert facts["protocols"]["l2_float32"]["of"] == "independent draws of P and Q, in float32"
    values = evaluator.evaluate(Critic(width=8).build_discriminator((2,)), {}, "a").values
    assert {*METRICS, *AS_PUBLISHED} <= set(values)
    assert values["cosine_float32"] == pytest.approx(values["cosine"] * floor["cosine_float32"], abs=0.06)


@pytest.mark.parametrize("method", [NoConstraint, SpectralNormalization, Orthogonal, GradientPenalty])
def test_state_round_trip_goes_on_bit_for_bit(method: Callable[[], Constraint]) -> None:
    task = transport(method())
    task.step(0.0)
    task.evaluate("a")
    task.end_interval()
    task.step(0.1)
    # As a checkpoint does it: through a file from which nothing but tensors, numbers and strings is read.
    file = io.BytesIO()
    torch.save(task.state_dict(), file)
    file.seek(0)
    other = transport(method())
    other.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    for one in (task, other):
        one.step(0.5)
    assert task.evaluate("b") == other.evaluate("b")
    for one in (task, other):
        one.end_interval()
    ours, theirs = task.arrays(), other.arrays()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("method", [SpectralNormalization, Orthogonal])
def test_a_snapshot_brings_back_all_that_is_measured(method: Callable[[], Constraint]) -> None:
    task = transport(method())
    task.step(0.0)
    task.evaluate("first")
    task.end_interval()
    before, drawn, snapshot = task.evaluate("a"), task.arrays(), task.snapshot()
    for _ in range(3):
        task.step(0.5)
    task.end_interval()
    assert task.evaluate("a") != before
    task.load_snapshot(snapshot)
    assert task.evaluate("a") == before
    assert drawn.keys() == task.arrays().keys()
    assert all(np.array_equal(drawn[name], array) for name, array in task.arrays().items())
    # The optimiser and the streams go on.
    assert task.state_dict()["critic"]["optimiser"]["state"][0]["step"] == 4


def test_not_a_number_is_noticed() -> None:
    task = transport()
    task.step(0.0)
    assert task.is_finite()
    with torch.no_grad():
        task.critic.output.bias[0] = torch.nan  # type: ignore[union-attr,index]
    assert not task.is_finite()


@pytest.mark.parametrize("loss", [torch.nan, torch.inf, -torch.inf])
def test_a_loss_that_is_not_finite_is_noticed(loss: float) -> None:
    task = transport()
    snapshot = task.snapshot()
    task.load_snapshot({**snapshot, "critic": {**snapshot["critic"], "loss": torch.tensor(loss)}})
    assert not task.is_finite()
    task.load_snapshot(snapshot)
    assert task.is_finite()


def test_a_run_is_judged_by_its_metric_s_own_direction() -> None:
    assert transport().selection.improves(0.9, 0.8)
    assert transport(selection="l2").selection.improves(0.8, 0.9)


def test_arrays_of_a_pair_in_the_plane() -> None:
    task = transport()
    for draw in ("a", "b"):
        task.evaluate(draw)
        task.end_interval()
        task.step(0.0)
    arrays = task.arrays()
    assert arrays["surface"].shape == arrays["surface_true"].shape == (96, 96)
    xmin, xmax, ymin, ymax = map(float, arrays["surface_extent"])
    corners = torch.tensor([[xmin, ymin], [xmax, ymin], [xmin, ymax]])
    with torch.no_grad():
        for name, function in (("surface", task.critic), ("surface_true", FUNNELS.potential)):
            shown = torch.from_numpy(arrays[name][[0, 0, -1], [0, -1, 0]])
            torch.testing.assert_close(shown, function(corners).flatten())
    assert arrays["source"].shape == arrays["target"].shape == (1000, 2)
    assert arrays["source"].dtype == arrays["target"].dtype == np.float32
    moved = FUNNELS.move(torch.from_numpy(arrays["target"]).double()).numpy()
    np.testing.assert_allclose(arrays["source"], moved, atol=1e-4)
    assert arrays["spectra/blocks.0.linear"].shape == (2, 2)
    assert np.array_equal(arrays["spectrum/blocks.0.linear"], arrays["spectra/blocks.0.linear"][1])


def test_of_other_pairs_only_spectra_are_drawn() -> None:
    task = transport(data=translation())
    assert task.arrays() == {}
    task.evaluate("a")
    task.end_interval()
    layers = ("blocks.0.linear", "blocks.1.linear", "output")
    assert set(task.arrays()) == {f"{kind}/{layer}" for kind in ("spectrum", "spectra") for layer in layers}


@pytest.mark.parametrize("activation", ["relu", "full_sort"])
@pytest.mark.parametrize("kind", CONSTRAINTS.values(), ids=CONSTRAINTS.keys())
def test_every_method_makes_a_step_on_the_critic(kind: type[Constraint], activation: Activation) -> None:
    try:
        task = transport(kind(), data=translation(), activation=activation)
    except Refusal as reason:
        pytest.skip(str(reason))
    before = [parameter.detach().clone() for parameter in task.critic.parameters()]
    task.step(0.0)
    assert task.is_finite()
    after = task.critic.parameters()
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
