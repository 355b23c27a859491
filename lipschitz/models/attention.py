"""Self-attention between the places of a feature map."""

import torch
from torch import Tensor, nn

REDUCTION = 8
"""Queries, keys and values have so many times fewer channels than the map: k of the paper's Sec. 3."""


class SelfAttention(nn.Module):
    """y = x + γ v(softmax(f(x) g(x)ᵀ) h(x)), γ starting at zero (Zhang et al. 2019, arXiv:1805.08318, eq. 1-3).

    f, g, h and v are 1x1 convolutions without bias. Written out rather than as one fused call, which cannot be
    differentiated twice. Not Lipschitz for any constant (Kim et al. 2021, arXiv:2006.04710).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // REDUCTION)
        self.key, self.query, self.value = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(3))
        self.output = nn.Conv2d(inner, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        key, query, value = (conv(x).flatten(2) for conv in (self.key, self.query, self.value))
        # A row for each place that asks, a column for each that it looks at.
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=-1)
        seen = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        output: Tensor = x + self.gamma * self.output(seen)
        return output
