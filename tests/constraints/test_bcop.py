"""BCOP: a stride against pixels rearranged by torch, dense matrices on a torus, and refusals."""

import numpy as np
import pytest
import torch
from layer_strategies import dense, on_a_torus
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F

from lipschitz.constraints.aoc import AOC, ComposedKernel
from lipschitz.constraints.base import Refusal, constrain
from lipschitz.constraints.bcop import BCOP, DownsampledKernel
from lipschitz.estimation.layers import WeightedLayer, raw_weight
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis
from lipschitz.models.initialisation import initialise

# Inputs, outputs, kernel size, stride, dilation, groups.
CONVOLUTIONS = [
    (4, 4, 3, 1, 1, 1),
    (6, 2, 3, 1, 2, 1),
    (4, 4, 4, 2, 1, 1),
    (2, 16, 4, 2, 1, 1),
    (1, 2, 6, 3, 1, 1),
    (2, 3, 4, 2, 3, 1),
    (2, 3, 6, 4, 2, 1),
    (4, 4, 3, 3, 2, 1),
    (4, 4, 1, 2, 1, 1),
    (8, 8, 4, 2, 1, 4),
]


def composed(layer: WeightedLayer, shape: tuple[int, ...], iterations: int = 15) -> WeightedLayer:
    return constrain(layer.double(), [BCOP(iterations=iterations)], shape)  # type: ignore[return-value]


@pytest.mark.parametrize("sizes", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("iterations", [1, 60])
def test_it_is_orthogonal_on_a_torus(sizes: tuple[int, ...], iterations: int) -> None:
    inputs, outputs, kernel, stride, dilation, groups = sizes
    torch.manual_seed(0)
    layer = composed(
        nn.Conv2d(inputs, outputs, kernel, stride, dilation=dilation, groups=groups), (inputs, 24, 24), iterations
    )
    values = np.linalg.svd(on_a_torus(layer, inputs, 12), compute_uv=False)  # type: ignore[arg-type]
    assert values[0] <= 1
    if iterations == 60:
        assert_allclose(values, 1, atol=1e-5)


def test_a_stride_is_a_convolution_of_rearranged_pixels() -> None:
    torch.manual_seed(0)
    layer = composed(nn.Conv2d(3, 5, 4, 2, padding=1), (3, 8, 8))
    # Pixel (2 i + a, 2 j + b) of channel c is channel 4 c + 2 a + b; so is tap (2 i + a, 2 j + b) of the raw kernel.
    raw = F.pixel_unshuffle(raw_weight(layer).detach(), 2)
    kernel = ComposedKernel(1.0, 15, 1, [ConvolutionAxis(2, 1, 2)] * 2).bounded(raw)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    expected = F.conv2d(F.pixel_unshuffle(F.pad(x, (1, 1, 1, 1)), 2), kernel)
    assert_allclose((layer(x) - layer.bias.view(1, -1, 1, 1)).detach(), expected, rtol=1e-5, atol=1e-6)


def test_without_a_stride_it_is_aoc() -> None:
    torch.manual_seed(0)
    layer, other = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(3, 5, 3, padding=1)
    other.load_state_dict(layer.state_dict())
    kernel = constrain(other.double(), [AOC()], (3, 8, 8)).weight
    assert torch.equal(composed(layer, (3, 8, 8)).weight, kernel)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2), (6, 3), (2, 1)])
def test_a_centred_matrix_is_kept(kernel: int, stride: int) -> None:
    layer = nn.Conv2d(4, 4, kernel, stride, padding=1)
    initialise(layer, "relu", "dirac")
    start = layer.weight.detach().clone().double()
    assert_allclose(composed(layer, (4, 12, 12)).weight.detach(), start, atol=1e-6)


def test_taps_that_meet_only_padding_are_zero_and_the_others_orthogonal() -> None:
    torch.manual_seed(0)
    layer = composed(nn.Conv2d(3, 5, 4, 2, padding=1), (3, 2, 2), 40)
    assert torch.count_nonzero(layer.weight) == 5 * 3 * 4
    assert_allclose(np.linalg.svd(dense(layer, torch.Size((3, 2, 2))), compute_uv=False), 1, atol=1e-5)


def test_a_transposed_convolution_is_the_adjoint_of_an_orthogonal_one() -> None:
    torch.manual_seed(0)
    transposed, adjoint = nn.ConvTranspose2d(3, 2, 4, 2, padding=1), nn.Conv2d(2, 3, 4, 2, padding=1)
    adjoint.weight.data = transposed.weight.detach().clone()
    assert torch.equal(composed(transposed, (3, 4, 4)).weight, composed(adjoint, (2, 8, 8)).weight)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    layer = composed(nn.Conv2d(2, 2, 4, 2), (2, 6, 6), 3)
    (step,) = layer.parametrizations["weight"]  # type: ignore[union-attr, index]
    assert isinstance(step, DownsampledKernel)
    assert torch.autograd.gradcheck(step.bounded, raw_weight(layer).detach().requires_grad_())


def test_a_kernel_that_is_no_multiple_of_the_stride_is_refused() -> None:
    with pytest.raises(
        Refusal, match=r"bcop cannot bound 'Conv2d' .*: 3 taps are no multiple of the stride 2; allowed"
    ):
        composed(nn.Conv2d(2, 2, 3, 2, padding=1), (2, 8, 8))
