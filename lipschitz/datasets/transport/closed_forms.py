"""Pairs of distributions with optimal transport in closed form: line, translation, scaled Gaussian, ball to ring."""

import math
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from lipschitz.config import Bound, Dimensions
from lipschitz.datasets.base import Dataset
from lipschitz.datasets.point_data import hash_numbers, square_extent
from lipschitz.datasets.transport.pair_data import PairData, uniform


class Line(Dataset):
    """Q uniform on [-1, 1]; P is its image under T(y) = scale y + shift.

    With g = scale - 1, T moves y by g y + shift. If |shift| >= |g|, all of Q moves in one direction: the potential is
    sign(shift) x, and W1 = |shift|. Otherwise T has the fixed point -shift / g in [-1, 1], points move away from it for
    g > 0 and towards it for g < 0: the potential is sign(g) |x + shift / g|, and W1 = (g² + shift²) / (2 |g|).
    """

    named = "line"
    source = "Closed form"
    kind = "pairs"

    scale: Bound = 2.0
    """Slope of T."""
    shift: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.5
    """Image of the origin under T."""

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.scale == 1 and self.shift == 0:
            raise ValueError("scale 1 and shift 0 make T the identity, so W1 is 0; expected other values")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1,)``."""
        return (1,)

    def load(self, data_root: Path | None, device: torch.device) -> PairData:
        """Return the pair; ``data_root`` is not read."""
        end = torch.ones(1, dtype=torch.float64, device=device)
        growth = self.scale - 1
        one_way = abs(self.shift) >= abs(growth)
        sign = math.copysign(1, self.shift if one_way else growth)
        fixed = 0.0 if one_way else -self.shift / growth

        def potential(x: Tensor) -> Tensor:
            along = x[:, 0]
            return sign * (along if one_way else (along - fixed).abs())

        def slope(y: Tensor) -> Tensor:
            away = torch.ones_like(y)
            return sign * (away if one_way else torch.where(y < fixed, -away, away))

        return PairData(
            1,
            lambda n, rng, dtype: uniform(n, -end, end, rng, dtype),
            lambda y: self.scale * y + self.shift,
            potential,
            slope,
            abs(self.shift) if one_way else (abs(growth) + self.shift * (self.shift / abs(growth))) / 2,
            0.0,
            hash_numbers({"scale": self.scale, "shift": self.shift}),
        )


MARGIN = 4.0
"""Distance of the axis limits of plots from either mean, in standard deviations."""


class Translation(Dataset):
    """Q standard normal, P the same shifted in one direction; the potential is linear, and W1 is ``distance``.

    The direction is that of (1, 2, ..., dim). It is neither an axis nor a diagonal: bounds on single weights would have
    an advantage there.
    """

    named = "translation"
    source = "Closed form"
    kind = "pairs"
    has_log_ratio = True

    dim: Dimensions = 2
    """Dimensions of the space."""
    distance: Bound = 1.0
    """Length of the shift, in standard deviations of Q along an axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(dim,)``."""
        return (self.dim,)

    def load(self, data_root: Path | None, device: torch.device) -> PairData:
        """Return the pair; ``data_root`` is not read."""
        rising = torch.arange(1, self.dim + 1, dtype=torch.float64, device=device)
        direction = rising / rising.norm()
        return PairData(
            self.dim,
            lambda n, rng, dtype: torch.randn(n, self.dim, generator=rng, device=rng.device, dtype=dtype),
            lambda y: y + self.distance * direction.to(y.dtype),
            lambda x: x @ direction.to(x.dtype),
            lambda y: direction.to(y.dtype).expand_as(y),
            self.distance,
            0.0,
            hash_numbers({"dim": self.dim, "distance": self.distance}),
            self._extent(direction.tolist()) if self.dim == 2 else None,
            log_ratio=lambda x: self.distance * (x @ direction.to(x.dtype) - self.distance / 2),
        )

    def _extent(self, direction: list[float]) -> tuple[float, float, float, float]:
        (xmin, xmax), (ymin, ymax) = (sorted((0.0, self.distance * along)) for along in direction)
        return (xmin - MARGIN, xmax + MARGIN, ymin - MARGIN, ymax + MARGIN)


class ScaledGaussian(Dataset):
    """Q standard normal, P the same times ``scale``; the potential is ±‖x‖, and log p/q has no bounded gradient.

    Every point moves along its ray, all outwards or all inwards: W1 = |s - 1| E‖y‖, with E‖y‖ = √2 Γ((d + 1) / 2) /
    Γ(d / 2). The gradient of log p/q = (1 - 1/s²) ‖x‖² / 2 - d log s grows with ‖x‖, so that it is not Lipschitz.
    """

    named = "scaled_gaussian"
    source = "Closed form; why it matters: Miyato et al. 2018, arXiv:1802.05957, eq. 3-4"
    kind = "pairs"
    has_log_ratio = True

    dim: Dimensions = 2
    """Dimensions of the space."""
    scale: Bound = 2.0
    """s, the standard deviation of P along an axis; not one."""

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.scale == 1:
            raise ValueError("scale 1 makes P and Q the same, so W1 is 0; expected another value")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """``(dim,)``."""
        return (self.dim,)

    def load(self, data_root: Path | None, device: torch.device) -> PairData:
        """Return the pair; ``data_root`` is not read."""
        sign = math.copysign(1, self.scale - 1)
        mean = math.sqrt(2) * math.exp(math.lgamma((self.dim + 1) / 2) - math.lgamma(self.dim / 2))
        curvature, constant = (1 - self.scale**-2) / 2, self.dim * math.log(self.scale)
        return PairData(
            self.dim,
            lambda n, rng, dtype: torch.randn(n, self.dim, generator=rng, device=rng.device, dtype=dtype),
            lambda y: self.scale * y,
            lambda x: sign * torch.linalg.vector_norm(x, dim=1),
            lambda y: sign * _outward(y),
            abs(self.scale - 1) * mean,
            0.0,
            hash_numbers({"dim": self.dim, "scale": self.scale}),
            square_extent((MARGIN + 1) * max(1.0, self.scale)) if self.dim == 2 else None,
            log_ratio=lambda x: curvature * x.square().sum(dim=1) - constant,
        )


class BallToRing(Dataset):
    """Q uniform on a disc around the origin, P on a ring outside it; the potential is ‖x‖.

    T moves a point outwards along its ray: the fraction of the disc's area within its radius equals the fraction of the
    ring's area within the new radius. W1 is the difference of the mean radii: (2 / 3) (outer² + outer inner + inner²) /
    (outer + inner) for the ring and 2 radius / 3 for the disc.
    """

    named = "ball_to_ring"
    source = "Closed form"
    kind = "pairs"

    radius: Bound = 1.0
    """Radius of the disc."""
    inner: Bound = 1.5
    """Inner radius of the ring, at least ``radius``."""
    outer: Bound = 2.0
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
    first = torch.eye(1, y.shape[1], dtype=y.dtype, device=y.device)
    return torch.where(radius > 0, y / radius, first)
