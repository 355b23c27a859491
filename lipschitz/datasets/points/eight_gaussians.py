"""Eight Gaussians on a circle: a ring of modes."""

import math
from pathlib import Path

import torch

from lipschitz.datasets.base import Dataset
from lipschitz.datasets.points.point_data import PointData, gaussian_mixture

RADIUS, STD, SCALE = 2.0, 0.02, 1 / 1.414


class EightGaussians(Dataset):
    """Eight equal Gaussians of standard deviation 0.02 on a circle of radius 2, both divided by 1.414."""

    source = "Gulrajani et al. 2017, arXiv:1704.00028, Fig. 1b"
    kind = "points"
    has_modes = True

    @property
    def shape(self) -> tuple[int, ...]:
        """``(2,)``."""
        return (2,)

    def load(self, data_root: Path | None, device: torch.device) -> PointData:
        """Return the distribution; ``data_root`` is not read."""
        angles = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
        centers = RADIUS * SCALE * torch.stack([angles.cos(), angles.sin()], dim=1)
        numbers = {"modes": 8, "radius": RADIUS, "std": STD, "scale": SCALE}
        return gaussian_mixture(centers.float().to(device), STD * SCALE, numbers)
