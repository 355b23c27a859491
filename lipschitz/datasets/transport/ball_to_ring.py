"""A uniform disc, transported outwards to a ring around it."""

import math
from pathlib import Path
from typing import Self

import torch
from pydantic import PositiveFloat, model_validator
from torch import Tensor

from lipschitz.datasets.base import Dataset
from lipschitz.datasets.points.point_data import hash_numbers, square_extent
from lipschitz.datasets.transport.pair_data import PairData


class BallToRing(Dataset):
    """Q uniform on a disc around the origin, P on a ring outside it; the potential is ‖x‖.

    T moves a point outwards along its ray: the fraction of the disc's area within its radius equals the fraction of the
    ring's area within the new radius. W1 is the difference of the mean radii: (2 / 3) (outer² + outer inner + inner²) /
    (outer + inner) for the ring and 2 radius / 3 for the disc.
    """

    source = "Closed form"
    kind = "pairs"

    radius: PositiveFloat = 1.0
    """Radius of the disc."""
    inner: PositiveFloat = 1.5
    """Inner radius of the ring, at least ``radius``."""
    outer: PositiveFloat = 2.0
    """Outer radius of the ring, above ``inner``."""

    @model_validator(mode="after")
    def _is_outside(self) -> Self:
        if not self.radius <= self.inner < self.outer:
            raise ValueError(
                f"expected radius <= inner < outer, got radius {self.radius:g}, inner {self.inner:g} and outer "
                f"{self.outer:g}"
            )
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """``(2,)``."""
        return (2,)

    def load(self, data_root: Path | None, device: torch.device) -> PairData:
        """Return the pair; ``data_root`` is not read."""
        ring = 2 / 3 * (self.outer**2 + self.outer * self.inner + self.inner**2) / (self.outer + self.inner)
        return PairData(
            2,
            self._disc,
            self._move,
            lambda x: torch.linalg.vector_norm(x, dim=1),
            _outward,
            ring - 2 / 3 * self.radius,
            0.0,
            hash_numbers({"radius": self.radius, "inner": self.inner, "outer": self.outer}),
            square_extent(1.05 * self.outer),
        )

    def _disc(self, n: int, rng: torch.Generator, dtype: torch.dtype) -> Tensor:
        unit = torch.rand(n, 2, generator=rng, device=rng.device, dtype=dtype)
        radius, angle = self.radius * unit[:, :1].sqrt(), 2 * math.pi * unit[:, 1]
        return radius * torch.stack([angle.cos(), angle.sin()], dim=1)

    def _move(self, y: Tensor) -> Tensor:
        share: Tensor = (torch.linalg.vector_norm(y, dim=1, keepdim=True) / self.radius) ** 2
        return (self.inner**2 + share * (self.outer**2 - self.inner**2)).sqrt() * _outward(y)


def _outward(y: Tensor) -> Tensor:
    """Return ``y / ‖y‖``; the first axis for the origin, where every direction points outwards."""
    radius = torch.linalg.vector_norm(y, dim=1, keepdim=True)
    first = torch.eye(1, 2, dtype=y.dtype, device=y.device)
    return torch.where(radius > 0, y / radius, first)
