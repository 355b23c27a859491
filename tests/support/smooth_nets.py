"""Test helpers: small float64 networks, fixed random draws, and a check of gradients by central differences."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def linear(weight: list[float], bias: float = 0.0) -> nn.Module:
    """Return D(x) = <weight, x> + bias, whose gradient is ``weight`` everywhere."""
    layer = nn.Linear(len(weight), 1).double()
    layer.weight.data = torch.tensor([weight], dtype=torch.float64)
    layer.bias.data = torch.tensor([bias], dtype=torch.float64)
    return layer


class HalfSquare(nn.Module):
    """D(x) = |x|²/2, whose gradient x differs between samples."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).square().sum(dim=1, keepdim=True) / 2


def smooth_net() -> nn.Module:
    """Return a tanh network of a convolution, a transposed convolution and a linear layer, for samples (1, 3, 3)."""
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.ConvTranspose2d(2, 2, 2, 2), nn.Tanh())
    return nn.Sequential(conv, nn.Flatten(), nn.Linear(2 * 6 * 6, 1)).double()


def dead_net() -> nn.Module:
    """Return a ReLU network for points whose hidden units are all inactive, so that its gradient is zero."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    nn.init.constant_(net[0].bias, -1e6)
    return net


def flat_net() -> nn.Module:
    """Return a tanh network for points with zero input gradient, but nonzero derivatives of that gradient."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    nn.init.zeros_(net[2].weight)
    return net


def finite_differences(value: Callable[[], Tensor], parameter: Tensor, step: float = 1e-5) -> np.ndarray:
    flat, gradient = parameter.detach().view(-1), np.zeros(parameter.numel())
    for i in range(len(flat)):
        kept = flat[i].item()
        ends = []
        for sign in (1, -1):
            flat[i] = kept + sign * step
            ends.append(value().item())
        flat[i] = kept
        gradient[i] = (ends[0] - ends[1]) / (2 * step)
    return gradient.reshape(parameter.shape)


def check_parameter_gradients(net: nn.Module, value: Callable[[], Tensor]) -> int:
    """Assert that gradients equal central differences; return the number of parameters that have a gradient."""
    net.zero_grad()
    value().backward()
    reached = 0
    for name, parameter in net.named_parameters():
        expected = finite_differences(value, parameter)
        if parameter.grad is None:
            assert_allclose(expected, 0, atol=1e-9, err_msg=name)
            continue
        assert_allclose(parameter.grad.numpy(), expected, rtol=1e-6, atol=1e-7, err_msg=name)
        reached += 1
    return reached
