"""ALP: slopes by hand, the steepest direction, and what is clipped and refused."""

import pytest
import torch
from pydantic import ValidationError
from smooth_nets import draw, linear, rng
from torch import Tensor, nn
from torch.testing import assert_close

from lipschitz.constraints.adversarial_lipschitz_penalty import AdversarialLipschitzPenalty
from lipschitz.constraints.base import Batch, Refusal, constrain

NEAR = AdversarialLipschitzPenalty(nearest=0.1, farthest=0.2, reach=0.1)


def wide(*shape: int, seed: int = 0) -> Tensor:
    """Return samples of which the first two reach far, so that no other one is moved out of the batch's range."""
    samples = draw(*shape, seed=seed)
    samples[0], samples[1] = 100.0, -100.0
    return samples


def test_a_linear_discriminator_by_hand() -> None:
    """One step finds the direction of w exactly: the slope is ‖w‖ = 5 wherever no point is clipped."""
    net = linear([3.0, 4.0])
    real = wide(200, 2)
    penalty = NEAR.penalty(net, Batch(real, None), rng())
    # 198 of 200 samples have the slope 5; the two corners may have no room in one of the directions.
    assert 10 * 16 * 198 / 200 <= penalty.item() <= 10 * 16 + 1e-9
    penalty.backward()
    assert isinstance(net.weight, nn.Parameter)
    assert net.weight.grad is not None
    # d λ (‖w‖ - 1)² = 2 λ (‖w‖ - 1) w / ‖w‖.
    assert_close(net.weight.grad, torch.tensor([[48.0, 64.0]], dtype=torch.float64), rtol=0.02, atol=0)


def test_slopes_below_the_bound_cost_nothing() -> None:
    batch = Batch(draw(6, 2), draw(6, 2, seed=1))
    assert NEAR.penalty(linear([0.6, 0.79]), batch, rng()).item() == 0
    looser = AdversarialLipschitzPenalty(nearest=0.1, farthest=0.2, reach=0.1, bound=6.0)
    assert looser.penalty(linear([3.0, 4.0]), batch, rng()).item() == 0


def test_generated_samples_count_too() -> None:
    net, real, generated = linear([3.0, 4.0]), wide(50, 2), wide(50, 2, seed=1)
    both = NEAR.penalty(net, Batch(real, generated), rng())
    joined = NEAR.penalty(net, Batch(torch.cat([real, generated]), None), rng())
    assert both.item() == joined.item() > 0


def test_the_points_stay_in_the_range_of_the_batch_and_are_constants() -> None:
    seen: list[Tensor] = []

    class Seen(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return x.flatten(1).sum(1, keepdim=True)

    real = draw(5, 3, 2)
    AdversarialLipschitzPenalty().penalty(Seen(), Batch(real, None), rng())
    assert all(real.min() <= one.min() and one.max() <= real.max() for one in seen)
    assert len(seen) == 3
    assert not seen[-1].requires_grad
    # D sums 6 entries: the steepest direction has equal entries or, where the search was clipped, zeros.
    up, down = ((one.flatten(1)).any(1) for one in (seen[2] > real, seen[2] < real))
    assert not (up & down).any()
    assert (up | down).all()


def test_equal_random_numbers_give_equal_penalties() -> None:
    net, batch = linear([3.0, 4.0]), Batch(draw(6, 2), draw(6, 2, seed=1))
    first, second = (AdversarialLipschitzPenalty().penalty(net, batch, rng(3)) for _ in range(2))
    assert first.item() == second.item()
    assert AdversarialLipschitzPenalty().penalty(net, batch, rng(4)).item() != first.item()


def test_what_it_refuses() -> None:
    with pytest.raises(ValidationError, match="nearest 2 is above farthest 1"):
        AdversarialLipschitzPenalty(nearest=2.0, farthest=1.0)
    with pytest.raises(Refusal, match="adversarial_lipschitz_penalty"):
        constrain(nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)), [AdversarialLipschitzPenalty()], (2,))
