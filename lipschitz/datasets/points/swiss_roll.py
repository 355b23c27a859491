"""Swiss roll: a noisy spiral."""

import math
from pathlib import Path

import torch
from torch import Tensor

from lipschitz.datasets.base import Dataset
from lipschitz.datasets.points.point_data import PointData, hash_numbers, square_extent

NOISE, SCALE = 0.25, 1 / 7.5


class SwissRoll(Dataset):
    """The spiral t (cos t, sin t), t uniform in [3π/2, 9π/2], with noise of standard deviation 0.25, divided by 7.5.

    scikit-learn's ``make_swiss_roll`` without its middle coordinate.
    """

    source = "Gulrajani et al. 2017, arXiv:1704.00028, Fig. 1b"
    kind = "points"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(2,)``."""
        return (2,)

    def load(self, data_root: Path | None, device: torch.device) -> PointData:
        """Return the distribution; ``data_root`` is not read."""
        numbers = {"start": 1.5, "end": 4.5, "noise": NOISE, "scale": SCALE}
        return PointData(_sample, hash_numbers(numbers), square_extent(4.5 * math.pi * SCALE + 0.25), NOISE * SCALE)


def _sample(n: int, rng: torch.Generator) -> Tensor:
    t = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=rng, device=rng.device))
    noise = torch.randn(n, 2, generator=rng, device=rng.device)
    return SCALE * (torch.stack([t * t.cos(), t * t.sin()], dim=1) + NOISE * noise)
