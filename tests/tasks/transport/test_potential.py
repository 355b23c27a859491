"""What is measured of critics that are worked out by hand."""

import math
from dataclasses import replace

import pytest
import torch
from small_transport_task import CPU, FUNNELS, linear_critic, translation, transport
from torch import Tensor, nn

from lipschitz.datasets.transport.funnels import Funnels
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.datasets.transport.rays import Geometry
from lipschitz.models.critic import Critic
from lipschitz.random_streams import stream
from lipschitz.tasks.transport import potential
from lipschitz.tasks.transport.potential import AS_PUBLISHED, METRICS, PotentialEvaluator


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
    values = measured(linear_critic(0.3, 0.4, 0.0), translation())
    expected = {"cosine": 0.6, "l2": 0.65, "w1_dual": 0.45, "w1_error": 0.7, "w1_over_lower": 0.9, "w1_over_upper": 0.9}
    assert tuple(expected) == METRICS
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-6), name
    assert values["sigma_operator/0"] == pytest.approx(0.5, rel=1e-6)
    assert values["lipschitz_lower"] <= 0.5 * (1 + 1e-6)


def test_the_cosine_does_not_depend_on_the_size_of_the_gradient() -> None:
    assert measured(linear_critic(3e-10, 4e-10, 0.0), translation())["cosine"] == pytest.approx(0.6, rel=1e-6)


def test_every_draw_has_a_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, str]] = []

    def named(seed: int, name: str, *device: torch.device) -> torch.Generator:
        drawn.append((seed, name))
        return stream(seed, name, *device)

    monkeypatch.setattr(potential, "stream", named)
    data = replace(FUNNELS, potential_as_published=FUNNELS.potential)
    evaluator = PotentialEvaluator(data, seed=3, samples=8, gradient_samples=20, device=CPU)
    critic = linear_critic(*[1.0] * data.shape[0])
    evaluator.evaluate(critic, {}, "a")
    evaluator.facts()
    evaluator.arrays(critic)
    names = ["a", "a/published", "a/lipschitz", "floor", "floor/published"]
    names += ["shown"] * (data.extent is not None)
    assert drawn == [(3, f"evaluation/{name}") for name in names]
    assert {len(place) for place in evaluator._places(stream(0, "x")).values()} == {8}


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
    values = measured(nn.Sequential(*linear_critic(2.0, bias=0.0), nn.ReLU()), data)
    assert values["gradient_norm/real"] == values["gradient_norm_max/real"] == pytest.approx(2, rel=1e-6)
    assert values["gradient_norm/fake"] == 0
    assert 0 < values["gradient_norm/interpolated"] < 2
    assert values["cosine"] == pytest.approx(1), "the gradient is compared where P lies"
    assert values["l2"] == pytest.approx(1, rel=1e-6)
    # Twice the mean of P, which has a variance of 1/12.
    assert values["w1_dual"] == pytest.approx(3, abs=4 * 2 * math.sqrt(1 / 12 / 512))


def test_a_critic_without_slope_and_one_without_bound_are_measured_too() -> None:
    flat = measured(linear_critic(0.0, 0.0, 0.0), translation())
    assert [flat[name] for name in METRICS[:4]] == [0, 1, 0, 1]
    assert all(math.isnan(flat[name]) for name in METRICS[4:])
    unbounded = measured(nn.Sequential(*linear_critic(1.0, 0.0, 0.0), Squared()), translation())
    assert unbounded["lipschitz_upper"] == math.inf
    assert math.isnan(unbounded["w1_over_upper"])
    assert math.isfinite(unbounded["w1_over_lower"])


class Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.square()


def test_the_floor_is_what_the_metrics_say_of_the_optimal_potential() -> None:
    facts, content = transport().facts(), f"SHA-256 {FUNNELS.hash[:12]}"
    assert set(facts["floor"]) == set(facts["protocols"]) == set(METRICS)
    assert facts["floor"]["cosine"] == pytest.approx(1, abs=1e-2)
    assert facts["floor"]["l2"] == pytest.approx(0, abs=1e-2)
    assert facts["floor"]["w1_over_upper"] == facts["floor"]["w1_over_lower"] == facts["floor"]["w1_dual"]
    assert facts["floor"]["w1_dual"] == pytest.approx(FUNNELS.w1, rel=0.2)
    assert facts["protocols"]["w1_error"] == {
        "samples": 128,
        "of": "the optimal plan",
        "data": content,
        "w1": pytest.approx(FUNNELS.w1, rel=1e-5),
        "w1_standard_error": pytest.approx(FUNNELS.w1_error, rel=1e-5),
    }
    assert facts["protocols"]["cosine"] == {"samples": 128, "of": "the optimal plan", "data": content}


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
