"""A critic that is trained by a cross-entropy is compared with log p/q, which is known of Gaussians."""

import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from small_transport_task import linear_critic, transport
from torch import nn

from lipschitz.datasets.transport.closed_forms import ScaledGaussian, Translation
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.tasks.losses import GANLoss, Minimax, NonSaturating, Wasserstein
from lipschitz.tasks.transport.potential import LOG_RATIO, PotentialEvaluator

CPU = torch.device("cpu")
MOVED = Translation(dim=2, distance=1.5).load(None, CPU)


def evaluated(critic: nn.Module, data: PairData = MOVED) -> dict[str, float]:
    evaluator = PotentialEvaluator(data, seed=0, samples=4096, gradient_samples=8, device=CPU, estimates_log_ratio=True)
    return evaluator.evaluate(critic, {}, "a").values


def test_the_optimal_discriminator_has_no_error() -> None:
    # log p/q of a shift by 1.5 along (1, 2)/√5 is 1.5 (x·(1, 2)/√5 - 0.75).
    slope = 1.5 / 5**0.5
    values = evaluated(linear_critic(slope, 2 * slope, bias=-1.125))
    assert max(values[name] for name in LOG_RATIO) < 1e-6


def test_errors_of_a_constant_critic_are_known() -> None:
    values = evaluated(linear_critic(0.0, 0.0, bias=0.0))
    assert values["log_ratio_gradient_error"] == pytest.approx(1, rel=1e-6)
    # log p/q is N(±d²/2, d²) under P and under Q, with d = 1.5.
    density = norm(1.125, 1.5).pdf
    ratio = quad(lambda f: abs(f) * density(f), -15, 15, points=[0])[0]
    distance = quad(lambda f: abs(expit(f) - 0.5) * density(f), -15, 15, points=[0])[0]
    assert values["log_ratio_error"] == pytest.approx(ratio, abs=0.03)
    assert values["d_star_error"] == pytest.approx(distance, abs=0.01)


def test_a_gradient_that_is_half_the_optimal_one_has_a_quarter_of_its_square() -> None:
    slope = 0.75 / 5**0.5
    assert evaluated(linear_critic(slope, 2 * slope))["log_ratio_gradient_error"] == pytest.approx(0.25, rel=1e-5)


@pytest.mark.parametrize("loss", [NonSaturating(), Minimax(), Wasserstein()])
def test_training_by_a_cross_entropy_approaches_it(loss: GANLoss) -> None:
    data = ScaledGaussian().load(None, CPU)
    task = transport(data=data, loss=loss)
    before = task.evaluate("a")
    if isinstance(loss, Wasserstein):
        assert not set(LOG_RATIO) & before.keys()
        return
    for _ in range(300):
        task.step(0.0)
    after = task.evaluate("a")
    assert after["d_star_error"] < 0.7 * before["d_star_error"]
    assert after["log_ratio_error"] < before["log_ratio_error"]
    assert task.facts()["floor"]["d_star_error"] == 0
    assert task.facts()["protocols"]["d_star_error"]["of"] == "independent draws of P and Q"
