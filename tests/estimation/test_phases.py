"""Certified bounds on the circle that contains a zero-padded input are never below the SVD of the dense matrix."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from layer_strategies import Drawn, convolutions, dense, transposed_convolutions
from torch import nn

from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.gram_iteration import operator_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.estimation.upper_bound.polyphase import convolution_axes

ROUNDING = 1 + 1e-9
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


def norm(layer: WeightedLayer, shape: tuple[int, ...]) -> float:
    return float(np.linalg.norm(dense(layer, torch.Size(shape)), 2))


def bound(layer: WeightedLayer, shape: tuple[int, ...]) -> float:
    return operator_bound(layer, shape).item()


def signs(kernel: int) -> Iterator[tuple[int, ...]]:
    """Yield every kernel of ±1 that begins with 1. The negated kernels have the same norms."""
    return product((1,), *[(-1, 1)] * (kernel - 1))


def with_taps(layer: WeightedLayer, *taps: float) -> WeightedLayer:
    layer.double().weight.data = torch.tensor(taps, dtype=torch.float64).view(layer.weight.shape)
    return layer


@settings(deadline=None, max_examples=60)
@given(convolutions(), transposed_convolutions())
def test_an_axis_has_the_sizes_of_the_layer_s_input_and_output(plain: Drawn, transposed: Drawn) -> None:
    # A transposed convolution is read as the convolution from its output to its input.
    for layer, shape in (plain, transposed):
        outputs = layer(torch.zeros(1, *shape, dtype=layer.weight.dtype)).shape[2:]
        sizes = [(axis.size, axis.outputs) for axis in convolution_axes(layer, shape)]
        ends = (outputs, shape[1:]) if isinstance(layer, nn.ConvTranspose2d) else (shape[1:], outputs)
        assert sizes == list(zip(*ends, strict=True))


def test_a_circle_of_the_input_alone_is_too_small_for_same_padding_and_an_even_kernel() -> None:
    # `same` pads an even kernel by 0 before the input and by 1 after it. On a circle of 3 the largest frequency of
    # (1, -1) is 1/3 and gives √3; the operator's norm is 1.8019, and a circle of 4 gives 2.
    layer, shape = with_taps(nn.Conv1d(1, 1, 2, padding="same", bias=False), 1, -1), (1, 3)
    exact = norm(layer, shape)
    assert exact == pytest.approx(1.801937735804838, rel=1e-12)
    assert bound(layer, shape) == pytest.approx(2, rel=1e-9)
    assert exact <= layer_bounds(layer, {"": torch.Size(shape)})[""].constant <= 2 * ROUNDING


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 4])
def test_even_kernels_with_same_padding(kernel: int, dilation: int) -> None:
    for size, taps in product(range(1, 8), signs(kernel)):
        layer = with_taps(nn.Conv1d(1, 1, kernel, padding="same", dilation=dilation, bias=False), *taps)
        assert norm(layer, (1, size)) <= bound(layer, (1, size)) <= kernel * ROUNDING, (size, taps)


@pytest.mark.parametrize("kernel", [(2, 2), (2, 3), (3, 4), (4, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_even_kernels_with_same_padding_along_two_axes(kernel: tuple[int, int], groups: int) -> None:
    for seed, sizes in product(range(4), [(3, 3), (3, 5), (5, 4)]):
        layer = nn.Conv2d(2, 4, kernel, padding="same", groups=groups, bias=False)
        with_taps(layer, *np.random.default_rng(seed).choice([-1.0, 1.0], size=layer.weight.numel()))
        assert norm(layer, (2, *sizes)) <= bound(layer, (2, *sizes)), (seed, sizes)


@pytest.mark.parametrize("kernel", [2, 4])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (4, 2)])
def test_even_kernels_with_stride_and_dilation(kernel: int, stride: int, dilation: int) -> None:
    reach = dilation * (kernel - 1)
    for size, padding in product(range(1, 7), range(reach + 1)):
        if size + 2 * padding <= reach:
            continue
        for taps in signs(kernel):
            layer = with_taps(nn.Conv1d(1, 1, kernel, stride, padding, dilation, bias=False), *taps)
            assert norm(layer, (1, size)) <= bound(layer, (1, size)) <= kernel * ROUNDING, (size, padding, taps)


@pytest.mark.parametrize(("stride", "padding", "extra"), [(1, 0, 0), (2, 0, 1), (2, 1, 0), (2, 1, 1), (3, 1, 2)])
def test_even_kernels_of_transposed_convolutions(stride: int, padding: int, extra: int) -> None:
    for size, seed in product(range(1, 5), range(4)):
        if (size - 1) * stride - 2 * padding + 4 + extra <= 0:
            continue
        layer = nn.ConvTranspose2d(1, 1, 4, stride, padding, extra, bias=False)
        with_taps(layer, *np.random.default_rng(seed).choice([-1.0, 1.0], size=16))
        assert norm(layer, (1, size, size)) <= bound(layer, (1, size, size)), (size, seed)
