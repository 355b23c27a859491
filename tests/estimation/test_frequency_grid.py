"""Bounds of convolutions on a grid of few frequencies: never below the bound on the whole circle, and close to it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, transposed_convolutions
from torch import nn

from lipschitz.estimation.layers import input_shapes
from lipschitz.estimation.upper_bound import gram_iteration
from lipschitz.estimation.upper_bound.gram_iteration import LEAST_FREQUENCIES, convolution_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.estimation.upper_bound.operator_bounds import MAX_DENSE_ENTRIES, operator_bound
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis, layer_kernel


@settings(deadline=None, max_examples=40)
@given(st.one_of(convolutions(), transposed_convolutions()), st.integers(6, 40), st.integers(1, 9))
def test_few_frequencies_give_no_smaller_bound(drawn: Drawn, size: int, least: int) -> None:
    kernel = layer_kernel(drawn.layer)
    axes = kernel.axes([size] * kernel.dimensions)
    whole = float(convolution_bound(kernel.weight.detach(), axes, kernel.groups))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gram_iteration, "LEAST_FREQUENCIES", 1 + least)
        few = float(convolution_bound(kernel.weight.detach(), axes, kernel.groups, flops=0.0))
    assert few >= whole * (1 - 1e-12)


def test_the_factor_is_attained() -> None:
    # ‖1 - exp(i ω)‖ = 2 |sin(ω / 2)| has the largest value 2, between the frequencies if their number is odd.
    axis = ConvolutionAxis(100, 99, 2)
    weight = torch.tensor([[[1.0, -1.0]]], dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gram_iteration, "LEAST_FREQUENCIES", 5)
        assert float(convolution_bound(weight, [axis], flops=0.0)) == pytest.approx(2, rel=1e-12)
        assert float(convolution_bound(weight, [axis])) == pytest.approx(2, rel=1e-12)


def test_a_costly_layer_is_bounded_on_few_frequencies(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, factors = [], gram_iteration._fourier_factors
    monkeypatch.setattr(
        gram_iteration, "_fourier_factors", lambda grid, *rest: sizes.append(list(grid)) or factors(grid, *rest)
    )
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3, padding=1).double().requires_grad_(False)
    shapes = input_shapes(layer, (4, 40, 40))
    assert MAX_DENSE_ENTRIES < (4 * 40**2) ** 2
    whole, few = (layer_bounds(layer, shapes, flops=flops)[""].constant for flops in (torch.inf, 0.0))
    assert sizes == [[41, 41], [2 * LEAST_FREQUENCIES] * 2]
    assert whole <= few <= 1.083**2 * whole
    middle = operator_bound(layer_kernel(layer), shapes[""], flops=1e6)
    assert 8 < sizes[-1][0] < 41
    assert whole <= middle < few
