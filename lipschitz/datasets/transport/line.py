"""A scaled and shifted uniform distribution on the line."""

import math
from pathlib import Path
from typing import Self

import torch
from pydantic import PositiveFloat, model_validator
from torch import Tensor

from lipschitz.datasets.base import Dataset
from lipschitz.datasets.points.point_data import hash_numbers
from lipschitz.datasets.transport.pair_data import PairData, uniform


class Line(Dataset):
    """Q uniform on [-1, 1]; P is its image under T(y) = scale y + shift.

    With g = scale - 1, T moves y by g y + shift. If |shift| >= |g|, all of Q moves in one direction: the potential is
    sign(shift) x, and W1 = |shift|. Otherwise T has the fixed point -shift / g in [-1, 1], points move away from it for
    g > 0 and towards it for g < 0: the potential is sign(g) |x + shift / g|, and W1 = (g² + shift²) / (2 |g|).
    """

    source = "Closed form"
    kind = "pairs"

    scale: PositiveFloat = 2.0
    """Slope of T."""
    shift: float = 0.5
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
