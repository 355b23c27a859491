"""Pairs of distributions with known optimal transport: P is the image of Q under a map."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Coupled(NamedTuple):
    """Samples of the optimal transport plan: row i of Q is transported to row i of P."""

    source: Tensor
    """Samples ``(n, d)`` of P."""
    target: Tensor
    """Samples ``(n, d)`` of Q."""


@dataclass(frozen=True, eq=False)
class PairData:
    """Two distributions P and Q over d dimensions; P is the image of Q under an optimal transport map T.

    The dual of W1(P, Q) is max E_P u - E_Q u over 1-Lipschitz u. ``potential`` is a maximiser: along the ray from T(y)
    to y it decreases with slope one.
    """

    dimension: int
    draw: Callable[[int, torch.Generator, torch.dtype], Tensor]
    """Draw samples ``(n, d)`` of Q, in the given dtype."""
    move: Callable[[Tensor], Tensor]
    """T, the optimal map from Q to P: ``(n, d)`` -> ``(n, d)``, in the dtype of its argument."""
    potential: Callable[[Tensor], Tensor]
    """u, an optimal potential: ``(n, d)`` -> ``(n,)``."""
    slope: Callable[[Tensor], Tensor]
    """∇u at T(y) for y of Q, ``(n, d)`` -> ``(n, d)``: the direction from y to T(y), of norm one.

    Where T(y) = y, which has probability zero under Q, it is any finite vector of norm at most one.
    """
    w1: float
    """W1(P, Q)."""
    w1_error: float
    """Standard error of ``w1``; zero for a closed form."""
    hash: str
    """SHA-256, in hex, of the numbers that define the pair."""
    extent: tuple[float, float, float, float] | None = None
    """Axis limits for plots, ``(xmin, xmax, ymin, ymax)``; None unless d is 2."""
    potential_as_published: Callable[[Tensor], Tensor] | None = None
    """u with the rounding of the published code, which published numbers depend on; None without published code."""
    log_ratio: Callable[[Tensor], Tensor] | None = None
    """log p(x) / q(x) of the densities of P and Q, ``(n, d)`` -> ``(n,)``, differentiable; None if it is not known.

    It is the discriminator that minimises the cross-entropy of P against Q, before the sigmoid.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """``(d,)``."""
        return (self.dimension,)

    def target(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw float32 ``(n, d)`` from Q."""
        return self.draw(n, rng, torch.float32)

    def source(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw float32 ``(n, d)`` from P."""
        return self.move(self.target(n, rng))

    def plan(self, n: int, rng: torch.Generator) -> Coupled:
        """Draw from the optimal plan, in float64."""
        target = self.draw(n, rng, torch.float64)
        return Coupled(self.move(target), target)


def uniform(n: int, low: Tensor, high: Tensor, rng: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw ``(n, d)`` uniformly from the box between ``low`` and ``high``, ``(d,)`` each."""
    unit = torch.rand(n, len(low), generator=rng, device=low.device, dtype=dtype)
    return low.to(dtype) + unit * (high - low).to(dtype)
