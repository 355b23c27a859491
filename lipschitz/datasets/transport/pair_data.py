"""Pairs of distributions whose optimal transport is known: P is Q, moved by a map."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Coupled(NamedTuple):
    """Samples of the optimal plan, row by row, each ``(n, d)``."""

    source: Tensor
    """Of P: where each row of ``target`` is moved."""
    target: Tensor
    """Of Q."""


@dataclass(frozen=True, eq=False)
class PairData:
    """Two distributions P and Q over d dimensions, P the image of Q under a map that transports optimally.

    The dual of W1(P, Q) is max E_P u - E_Q u over 1-Lipschitz u. ``potential`` attains it, so that along the ray from
    T(y) to y it falls at slope one.
    """

    dimension: int
    draw: Callable[[int, torch.Generator, torch.dtype], Tensor]
    """Samples ``(n, d)`` of Q."""
    move: Callable[[Tensor], Tensor]
    """T, the optimal map from Q to P: ``(n, d)`` -> ``(n, d)``, in the dtype of its argument."""
    potential: Callable[[Tensor], Tensor]
    """u, an optimal potential: ``(n, d)`` -> ``(n,)``."""
    slope: Callable[[Tensor], Tensor]
    """∇u at T(y) for y of Q, ``(n, d)`` -> ``(n, d)``: the direction from y to T(y), of norm one.

    Where T keeps y, which of Q happens with probability zero, it is any finite vector no longer than that.
    """
    w1: float
    """W1(P, Q)."""
    w1_error: float
    """Standard error of ``w1``; zero where it is a closed form."""
    hash: str
    """SHA-256, in hex, of the numbers that define the pair."""
    extent: tuple[float, float, float, float] | None = None
    """``(xmin, xmax, ymin, ymax)`` of a frame that holds both; None unless they lie in the plane."""
    potential_as_published: Callable[[Tensor], Tensor] | None = None
    """u as published code computes it, where its rounding is part of published numbers; None elsewhere."""

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
