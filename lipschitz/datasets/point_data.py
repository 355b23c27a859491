"""A distribution of points in the plane, sampled on the device, and its hash; mixtures of Gaussians."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

Sampler = Callable[[int, torch.Generator], Tensor]
"""Draws float32 ``(n, 2)`` from a generator, on its device."""


@dataclass(frozen=True, eq=False)
class PointData:
    """A distribution over the plane. Training, held-out and floor samples are independent draws from it."""

    sample: Sampler
    hash: str
    extent: tuple[float, float, float, float]
    """Axis limits for plots, ``(xmin, xmax, ymin, ymax)``."""
    std: float
    """Standard deviation, along each axis, of the noise around the modes, or around a curve."""
    centers: Tensor | None = None
    """float32 ``(k, 2)`` modes of a mixture, on the device; None for a distribution without modes."""

    shape: ClassVar[tuple[int, ...]] = (2,)

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw float32 ``(n, 2)``."""
        return self.sample(n, rng)

    def reference(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw float32 ``(n, 2)``."""
        return self.sample(n, rng)

    def floor(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw float32 ``(n, 2)``."""
        return self.sample(n, rng)


def gaussian_mixture(centers: Tensor, std: float, numbers: Mapping[str, float]) -> PointData:
    """Return the mixture of equal isotropic Gaussians at ``centers`` ``(k, 2)``; ``numbers`` define its hash."""

    def sample(n: int, rng: torch.Generator) -> Tensor:
        mode = torch.randint(len(centers), (n,), generator=rng, device=centers.device)
        noise = torch.randn(n, 2, generator=rng, device=centers.device)
        return centers.index_select(0, mode) + std * noise

    return PointData(sample, hash_numbers(numbers), square_extent(1.25 * float(centers.abs().max())), std, centers)


def square_extent(half: float) -> tuple[float, float, float, float]:
    """Return the limits ``(xmin, xmax, ymin, ymax)`` of the square of side ``2 half`` around the origin."""
    return (-half, half, -half, half)


def hash_numbers(numbers: Mapping[str, float]) -> str:
    """Return the SHA-256, in hex, of named numbers; unlike a hash of samples it is the same on every platform."""
    return hashlib.sha256(json.dumps(dict(numbers), sort_keys=True).encode()).hexdigest()
