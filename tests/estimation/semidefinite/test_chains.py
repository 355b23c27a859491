"""Bounds of chains: computed once for the same weights, up to a total cost; and steps that large numbers may hide."""

import math

import pytest
import torch
from torch import Tensor, nn

from lipschitz.estimation.upper_bound import chains
from lipschitz.estimation.upper_bound.chains import Chain, ChainBounds
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.semidefinite.certificate import chain_bound, chain_cost
from lipschitz.estimation.upper_bound.semidefinite.steps import Matrix, Slopes
from lipschitz.estimation.upper_bound.traced_call import TracedValue


def test_a_bound_is_computed_once_for_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(chains, "chain_bound", lambda *given, flops: calls.append(given) or chain_bound(*given))
    torch.manual_seed(0)
    first, second = (torch.randn(3, 3, dtype=torch.float64) for _ in range(2))
    base, relu, bounds = TracedValue(torch.zeros(1, 3), 1.0), Slopes(0.0, 1.0), ChainBounds(1e9)

    def bound(a: torch.Tensor, b: torch.Tensor, slopes: Slopes = relu) -> float:
        return bounds.of(Chain(base, (3,), (Matrix(a), slopes, Matrix(b))))

    once = bound(first, second)
    assert bound(first, second) == once
    assert len(calls) == 1
    # The transpose has the memory and the shape of the matrix.
    assert bound(first.T, second) == chain_bound((Matrix(first.T), relu, Matrix(second)), (3,))
    assert bound(first.T, second) != once
    assert bound(first, second, Slopes(-1.0, 1.0)) > once
    second.mul_(2)
    assert bound(first, second) == pytest.approx(2 * once, rel=1e-6)


def test_a_chain_after_the_first_is_not_bounded_if_all_cost_too_much() -> None:
    torch.manual_seed(0)
    weights = [torch.randn(n, n, dtype=torch.float64) for n in (3, 4, 5)]
    costs = [chain_cost(triple(weight), (len(weight),)) for weight in weights]
    assert costs == sorted(costs)
    for total, bounded in ((0.0, [True, False, False]), (costs[0] + costs[1], [True, True, False])):
        bounds = ChainBounds(1e9, total)
        found = [bounds.of(Chain(base(len(weight)), (len(weight),), triple(weight))) for weight in weights]
        assert [bound < math.inf for bound in found] == bounded
        assert found[0] == chain_bound(triple(weights[0]), (3,), flops=1e9)


def triple(weight: torch.Tensor) -> tuple[Matrix, Slopes, Matrix]:
    return Matrix(weight), Slopes(0.0, 1.0), Matrix(weight)


def base(n: int) -> TracedValue:
    return TracedValue(torch.zeros(1, n), 1.0)


class Scaled(nn.Module):
    """Multiplies each entry by a number, and reads the second channel."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Conv1d(2, 1, 1, bias=False)
        self.read.weight.data = torch.tensor([[[0.0], [1.0]]])
        self.register_buffer("factors", torch.tensor([[[1e7, 1e7], [0.0, 5.0]]]))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.read(x * self.factors)
        return output


def test_a_small_channel_whose_factors_differ_is_not_hidden_by_a_large_one() -> None:
    assert upper_bound(Scaled().double(), (2, 2)).constant >= 5


@pytest.mark.parametrize("middle", [nn.BatchNorm1d(2), nn.ConvTranspose1d(2, 2, 1), nn.InstanceNorm1d(2, affine=True)])
def test_a_large_bias_does_not_hide_a_small_weight(middle: nn.Module) -> None:
    if isinstance(middle, nn.InstanceNorm1d):
        middle.register_buffer("running_mean", torch.zeros(2))
        middle.register_buffer("running_var", torch.ones(2))
        middle.track_running_stats = True
    middle.weight.data = 1e-8 * (torch.eye(2)[..., None] if middle.weight.dim() > 1 else torch.ones(2))
    middle.bias.data.fill_(1e10)
    first, last = nn.Conv1d(2, 2, 1, bias=False), nn.Conv1d(2, 1, 1, bias=False)
    first.weight.data, last.weight.data = torch.eye(2)[..., None], torch.ones(1, 2, 1)
    bound = upper_bound(nn.Sequential(first, middle, last).double().eval(), (2, 3))
    assert bound.constant == pytest.approx(1e-8 * 2**0.5, rel=1e-5)


def test_a_map_without_a_batch_is_bounded() -> None:
    class OneByOne(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([super(OneByOne, self).forward(sample) for sample in x])

    torch.manual_seed(0)
    layers = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Conv2d(1, 2, 3)
    found = upper_bound(OneByOne(*layers).double(), (1, 4, 4)).constant
    assert upper_bound(nn.Sequential(*layers).double(), (1, 4, 4)).constant <= found * (1 + 1e-6) < math.inf
