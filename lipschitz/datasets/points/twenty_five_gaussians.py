"""Twenty-five Gaussians on a grid."""

from pathlib import Path

import torch

from lipschitz.datasets.base import Dataset
from lipschitz.datasets.points.point_data import PointData, gaussian_mixture

SPACING, STD, SCALE = 2.0, 0.05, 1 / 2.828


class TwentyFiveGaussians(Dataset):
    """Equal Gaussians of standard deviation 0.05 on a 5 x 5 grid of spacing 2, both divided by 2.828.

    The paper's code shuffles a fixed draw of 100,000 points, 4,000 a mode; here every point is a new draw.
    """

    source = "Gulrajani et al. 2017, arXiv:1704.00028, Fig. 1b"
    kind = "points"
    has_modes = True

    @property
    def shape(self) -> tuple[int, ...]:
        """``(2,)``."""
        return (2,)

    def load(self, data_root: Path | None, device: torch.device) -> PointData:
        """Return the distribution; ``data_root`` is not read."""
        ticks = torch.arange(-2, 3, dtype=torch.float64)
        centers = SPACING * SCALE * torch.cartesian_prod(ticks, ticks)
        numbers = {"modes": 25, "spacing": SPACING, "std": STD, "scale": SCALE}
        return gaussian_mixture(centers.float().to(device), STD * SCALE, numbers)
