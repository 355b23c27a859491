"""Self-attention over the positions of a feature map, as in SAGAN."""

import torch
from torch import Tensor, nn

REDUCTION = 8
"""Ratio of the channels of the feature map to those of queries, keys and values; k in Sec. 3 of the paper."""


class SelfAttention(nn.Module):
    """Self-attention with a residual connection (Zhang et al. 2019, arXiv:1805.08318, eq. 1-3).

    y = x + γ v(softmax(f(x) g(x)ᵀ) h(x)), where f, g, h and v are 1x1 convolutions without bias, and γ is trained,
    initially zero. The layer is not Lipschitz continuous (Kim et al. 2021, arXiv:2006.04710). torch's fused attention
    is not used, because it cannot be differentiated twice.
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
        # Rows are query positions, columns are key positions.
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=-1)
        attended = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        output: Tensor = x + self.gamma * self.output(attended)
        return output
