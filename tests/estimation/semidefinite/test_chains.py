"""Bounds of chains are computed once for the same weights, again for others in the same memory, up to a total cost."""

import math

import pytest
import torch

from lipschitz.estimation.upper_bound import chains
from lipschitz.estimation.upper_bound.chains import Chain, ChainBounds
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
