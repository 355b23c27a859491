"""Certified bounds of layers against the SVD of the dense matrix that they apply."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, dense, linears, transposed_convolutions
from torch import Tensor, nn

from lipschitz.estimation.layers import input_shapes
from lipschitz.estimation.upper_bound import operator_bounds
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds


def bound(layer: nn.Module, shape: torch.Size) -> float:
    return layer_bounds(layer, {"": shape})[""].constant


@settings(deadline=None, max_examples=100)
@given(st.one_of(convolutions(), transposed_convolutions(), linears()))
def test_the_bound_of_a_small_operator_is_exact_up_to_rounding(drawn: Drawn) -> None:
    exact = np.linalg.norm(dense(*drawn), 2)
    assert exact <= bound(*drawn) <= exact * (1 + 1e-6) + 1e-12


def test_a_large_operator_is_bounded_by_circular_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, shape = nn.Conv2d(3, 4, 3, padding=1).double(), torch.Size((3, 4, 4))
    exact = np.linalg.norm(dense(layer, shape), 2)
    monkeypatch.setattr("lipschitz.estimation.upper_bound.operator_bounds.MAX_DENSE_ENTRIES", 0)
    assert exact * (1 + 1e-6) < bound(layer, shape) < exact * 1.5


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@pytest.mark.parametrize("padding", [1, 2, "same"])
def test_circular_reflect_and_replicate_padding(monkeypatch: pytest.MonkeyPatch, mode: str, padding: int | str) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, padding=padding, padding_mode=mode).double()
    shape = torch.Size((2, 5, 5))
    exact = np.linalg.norm(dense(layer, shape), 2)
    assert exact <= bound(layer, shape) <= exact * (1 + 1e-6)
    monkeypatch.setattr("lipschitz.estimation.upper_bound.operator_bounds.MAX_DENSE_ENTRIES", 0)
    assert exact <= bound(layer, shape) <= exact * 4


@pytest.mark.parametrize(("mode", "by_parts"), [("circular", 3.0), ("replicate", 3 * math.sqrt(3))])
def test_one_padded_pixel_by_hand(monkeypatch: pytest.MonkeyPatch, mode: str, by_parts: float) -> None:
    # Padding makes three equal pixels, whose norm is √3 times as large; the sum of three taps has norm 3 on its circle.
    # Circular padding and kernel are one convolution of a circle, with norm 3.
    layer = nn.Conv1d(1, 1, 3, padding=1, padding_mode=mode, dtype=torch.float64)
    nn.init.ones_(layer.weight)
    assert bound(layer, torch.Size((1, 1))) == pytest.approx(3, rel=1e-6)
    monkeypatch.setattr("lipschitz.estimation.upper_bound.operator_bounds.MAX_DENSE_ENTRIES", 0)
    assert bound(layer, torch.Size((1, 1))) == pytest.approx(by_parts, rel=1e-6)


class Doubled(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(2 * x)


class Standardised(nn.Conv2d):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, weight / weight.std(), bias)


class Declared(Doubled):
    lipschitz_constant = 7.0


@pytest.mark.parametrize("kind", [Doubled, Standardised])
def test_a_layer_with_its_own_forward_is_bounded_by_what_it_applies(kind: type[nn.Conv2d]) -> None:
    torch.manual_seed(0)
    layer, shape = kind(1, 1, 3, bias=False).double(), torch.Size((1, 4, 4))
    plain = nn.Conv2d(1, 1, 3, bias=False).double()
    plain.weight.data = layer.weight * 2 if kind is Doubled else layer.weight / layer.weight.std()
    assert bound(layer, shape) == pytest.approx(np.linalg.norm(dense(plain, shape), 2), rel=1e-6)


def test_a_layer_whose_own_forward_has_no_constant_is_not_bounded() -> None:
    class Squared(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).square()

    found = layer_bounds(Squared(2, 2).double(), {"": torch.Size((2,))})[""]
    assert found.constant == math.inf
    assert "square in the network (Squared) has no Lipschitz constant" in found.note


def test_a_layer_with_its_own_forward_may_declare_its_constant() -> None:
    assert bound(Declared(1, 1, 3).double(), torch.Size((1, 4, 4))) == 7


def test_a_layer_whose_forward_was_replaced_is_bounded_by_that() -> None:
    layer = nn.Linear(2, 2).double()
    layer.forward = lambda x: 3 * x
    assert bound(layer, torch.Size((2,))) == 3


def test_a_layer_that_the_forward_pass_does_not_use_is_left_out() -> None:
    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(2, 1), nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    net = One().double()
    assert list(layer_bounds(net, input_shapes(net, (2,)))) == ["used"]


def test_the_groups_of_a_depthwise_convolution_are_bounded_one_by_one() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(256, 256, 3, padding=1, groups=256, bias=False).double()
    shape = torch.Size((256, 4, 4))
    exact = max(map(_one_channel, layer.weight))
    assert exact <= bound(layer, shape) <= exact * (1 + 1e-6)


def _one_channel(kernel: Tensor) -> float:
    single = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    single.weight.data = kernel[None]
    return float(np.linalg.norm(dense(single, torch.Size((1, 4, 4))), 2))


def test_a_weight_is_bounded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    computed = operator_bounds.operator_bound
    monkeypatch.setattr(
        operator_bounds, "operator_bound", lambda *of, **options: calls.append(of[0]) or computed(*of, **options)
    )
    linear = nn.Linear(32, 3)
    net = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), linear).double()
    sigma = float(torch.linalg.matrix_norm(linear.weight.detach(), 2))
    bounds = layer_bounds(net, input_shapes(net, (2, 4, 4)), {"3": sigma})
    upper = upper_bound(net, (2, 4, 4), bounds.operators).product
    assert len(calls) == 1
    assert sigma <= bounds["3"].constant <= sigma * (1 + 1e-7)
    assert upper == pytest.approx(bounds["0"].constant * bounds["3"].constant, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_a_given_singular_value_is_not_taken_where_its_squares_underflow(scale: float) -> None:
    layer = nn.Linear(2, 2, bias=False).double()
    layer.weight.data = scale * torch.eye(2, dtype=torch.float64)
    given = 1.0 if scale == 1 else 0.0
    assert layer_bounds(layer, {"": torch.Size((2,))}, {"": given})[""].constant == pytest.approx(scale)


def test_convolutions_along_one_and_three_axes_are_bounded() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(2, 3, 2, stride=2), nn.Flatten(2), nn.ConvTranspose1d(3, 2, 3, stride=2, output_padding=1)
    ).double()
    shapes = input_shapes(net, (2, 4, 4, 4))
    bounds = layer_bounds(net, shapes)
    assert list(bounds) == ["0", "2"]
    for name, found in bounds.items():
        assert found.constant == pytest.approx(
            np.linalg.norm(dense(net.get_submodule(name), shapes[name]), 2), rel=1e-6
        )
