"""Householder activation: of each pair of channels, one half-plane is reflected onto the other by a trained line."""

import math

import torch
from torch import Tensor, nn

PAIR = 2


class Householder(nn.Module):
    """Householder activation of order one (Singla, Singla & Feizi 2021, arXiv:2108.04062, Sec. 4).

    A pair z of channels stays where vᵀz > 0 with v = (sin(θ/2), -cos(θ/2)), else it is reflected at that line:
    z + 2 relu(-vᵀz) v, which is (cos θ z₁ + sin θ z₂, sin θ z₁ - cos θ z₂). Each pair has its own angle θ in radians,
    trained from π/2: there the pair becomes its maximum and minimum. Continuous, with orthogonal Jacobians, so its
    Lipschitz constant is one, and it preserves the norm of the gradient. Pairs are neighbouring channels, as in
    `GroupSort`. A method that acts on all parameters, such as weight clipping, acts on θ, too.
    """

    lipschitz_constant = 1.0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.angle = nn.Parameter(torch.full((channels // PAIR,), math.pi / 2))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` ``(n, c, ...)``, c even, to the same shape."""
        half = self.angle / 2
        normal = torch.stack([half.sin(), -half.cos()], dim=1).view(-1, PAIR, *(1,) * (x.dim() - 2))
        pairs = x.reshape(len(x), -1, PAIR, *x.shape[2:])
        outside = torch.relu(-(pairs * normal).sum(2, keepdim=True))
        return (pairs + 2 * outside * normal).reshape(x.shape)
