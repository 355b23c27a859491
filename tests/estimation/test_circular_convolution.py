"""Circular convolution by Fourier transforms against torch's own circular padding."""

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.base import constrain
from lipschitz.constraints.lot import LOT
from lipschitz.estimation.circular_convolution import CircularConvolution


def by_torch(x: Tensor, weight: Tensor, bias: Tensor, strides: tuple[int, ...], groups: int) -> Tensor:
    sides = [side for size in reversed(weight.shape[2:]) for side in ((size - 1) // 2, size // 2)]
    convolve = F.conv1d if weight.dim() == 3 else F.conv2d
    return convolve(F.pad(x, sides, "circular"), weight, bias, strides, groups=groups)


CASES = [
    ((2, 3, 5, 4), (6, 3), (1, 1), 1),
    ((2, 4, 6, 4), (6, 2), (2, 1), 2),
    ((1, 2, 6, 6), (2, 2), (3, 2), 1),
    ((3, 2, 7), (5, 2), (1,), 1),
    ((2, 2, 1, 1), (3, 2), (1, 1), 1),
]


@pytest.mark.parametrize(("shape", "channels", "strides", "groups"), CASES)
def test_equals_torch_with_its_gradients(
    shape: tuple[int, ...], channels: tuple[int, int], strides: tuple[int, ...], groups: int
) -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(shape), torch.randn(*channels, *shape[2:]), torch.randn(channels[0])
    arguments = [tensor.double().requires_grad_() for tensor in (x, weight, bias)]
    found = CircularConvolution(strides, groups)(*arguments)
    expected = by_torch(*arguments, strides, groups)
    assert_allclose(found.detach(), expected.detach(), atol=1e-12)
    direction = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, arguments, direction),
        torch.autograd.grad(expected, arguments, direction),
        strict=True,
    ):
        assert_allclose(ours, theirs, atol=1e-12)
    single = CircularConvolution(strides, groups)(x[0].double(), weight.double())
    assert_allclose(single, (found - bias.double().view(-1, *[1] * len(strides)))[0].detach(), atol=1e-12)


def test_a_constrained_layer_runs_it_and_equals_its_kernel() -> None:
    torch.manual_seed(0)
    layer = constrain(nn.Conv2d(4, 6, 4, 2, padding=1), [LOT()], (4, 8, 8))
    assert isinstance(layer, nn.Conv2d)
    assert isinstance(vars(layer)["_conv_forward"], CircularConvolution)
    x = torch.randn(3, 4, 8, 8)
    assert layer.bias is not None
    assert_allclose(layer(x).detach(), by_torch(x, layer.weight, layer.bias, (2, 2), 1).detach(), atol=1e-5)
