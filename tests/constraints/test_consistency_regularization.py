"""CR and bCR: values by hand, the transform's bounds, one pass more a kind of image, and refusals."""

import pytest
import torch
from pydantic import ValidationError
from small_generation_task import task
from smooth_nets import check_parameter_gradients, draw, rng, smooth_net
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Refusal
from lipschitz.constraints.consistency_regularization import ConsistencyRegularization
from lipschitz.datasets.images.random_transforms import random_flip, random_shift


class FirstColumn(nn.Module):
    """D(x) = the sum of the first column of the images, which a flip exchanges with the last."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., 0].sum(dim=(1, 2)).unsqueeze(1)


def judged(net: nn.Module, real: Tensor, fake: Tensor) -> Batch:
    return Batch(real, fake, None, net(real), net(fake))


def test_flips_alone_by_hand() -> None:
    real, fake = draw(64, 1, 3, 3), draw(64, 1, 3, 3, seed=1)
    seen = judged(FirstColumn(), real, fake)
    draws = rng()
    flipped = [torch.rand(64, generator=draws, dtype=torch.float64) < 0.5 for _ in range(2)]
    change = [
        (mask * (x[..., 0].sum(dim=(1, 2)) - x[..., 2].sum(dim=(1, 2))) ** 2).mean().item()
        for mask, x in zip(flipped, (real, fake), strict=True)
    ]
    method = ConsistencyRegularization(weight=3.0, shift=0)
    assert method.penalty(FirstColumn(), seen, rng()).item() == pytest.approx(3 * change[0], rel=1e-12)
    balanced = ConsistencyRegularization(weight=3.0, generated_weight=5.0, shift=0)
    expected = 3 * change[0] + 5 * change[1]
    assert balanced.penalty(FirstColumn(), seen, rng()).item() == pytest.approx(expected, rel=1e-12)


def test_flip_and_shift_are_drawn_from_the_constraint_s_stream() -> None:
    net, real = smooth_net(), draw(5, 1, 3, 3)
    draws = rng()
    transformed = random_shift(random_flip(real, draws), (2, 2), draws)
    expected = 10 * (net(real) - net(transformed)).square().mean()
    found = ConsistencyRegularization(shift=2).penalty(net, judged(net, real, real), rng())
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_the_gradient_passes_through_both_outputs() -> None:
    net, real, fake = smooth_net(), draw(3, 1, 3, 3), draw(3, 1, 3, 3, seed=1)
    method = ConsistencyRegularization(generated_weight=10.0, shift=1)
    assert check_parameter_gradients(net, lambda: method.penalty(net, judged(net, real, fake), rng())) >= 5


def test_a_network_that_is_blind_to_the_transform_pays_nothing() -> None:
    class Total(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(dim=(1, 2, 3)).unsqueeze(1)

    images = draw(8, 1, 4, 4)
    penalty = ConsistencyRegularization(shift=0).penalty(Total(), judged(Total(), images, images), rng())
    assert penalty.item() == pytest.approx(0, abs=1e-24)


@pytest.mark.parametrize(("generated_weight", "more"), [(0.0, 1), (10.0, 2)])
def test_it_costs_one_pass_for_each_kind_of_image(generated_weight: float, more: int) -> None:
    counts = []
    for built in (task("float32"), task("float32", ConsistencyRegularization(generated_weight=generated_weight))):
        seen: list[int] = []
        built.discriminator.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(len(args[0])))
        built.discriminator_step()
        counts.append(sum(seen))
    assert counts[1] - counts[0] == 8 * more


def test_wrong_data_and_fields_are_refused() -> None:
    assert (ConsistencyRegularization().weight, ConsistencyRegularization().generated_weight) == (10, 0)
    with pytest.raises(ValidationError, match="shift 0 without flip changes no image"):
        ConsistencyRegularization(shift=0, flip=False)
    with pytest.raises(Refusal, match=r"consistency_regularization flips and shifts images, .* shape \(2,\)"):
        ConsistencyRegularization().wrap(nn.Linear(2, 1), (2,))
    with pytest.raises(Refusal, match="shifts by up to 4 pixels, and an image has 4x8; allowed: shift below 4"):
        ConsistencyRegularization().wrap(smooth_net(), (1, 4, 8))
