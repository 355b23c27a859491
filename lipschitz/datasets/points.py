"""Distributions over the plane, sampled by formula on the device: Gaussians on a circle or grid, Swiss roll."""

import math
from pathlib import Path

import torch
from torch import Tensor

from lipschitz.datasets.base import Dataset
from lipschitz.datasets.point_data import PointData, gaussian_mixture, hash_numbers, square_extent


class PointDataset(Dataset):
    """Base class of data sets of points in the plane."""

    kind = "points"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(2,)``."""
        return (2,)


class EightGaussians(PointDataset):
    """Eight equal Gaussians of standard deviation 0.02 on a circle of radius 2, both divided by 1.414."""

    named = "eight_gaussians"
    source = "Gulrajani et al. 2017, arXiv:1704.00028, Fig. 1b"
    has_modes = True

    def load(self, data_root: Path | None, device: torch.device) -> PointData:
        """Return the distribution; ``data_root`` is not read."""
        radius, std, scale = 2.0, 0.02, 1 / 1.414
        angles = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
        centers = radius * scale * torch.stack([angles.cos(), angles.sin()], dim=1)
        numbers = {"modes": 8, "radius": radius, "std": std, "scale": scale}
        return gaussian_mixture(centers.float().to(device), std * scale, numbers)


class TwentyFiveGaussians(PointDataset):
    """Equal Gaussians of standard deviation 0.05 on a 5 x 5 grid of spacing 2, both divided by 2.828.

    The paper's code shuffles a fixed draw of 100,000 points, 4,000 a mode; here every point is a new draw.
    """

    named = "twenty_five_gaussians"
    source = "Gulrajani et al. 2017, arXiv:1704.00028, Fig. 1b"
    has_modes = True

    def load(self, data_root: Path | None, device: torch.device) -> PointData:
        """Return the distribution; ``data_root`` is not read."""
        spacing, std, scale = 2.0, 0.05, 1 / 2.828
        ticks = torch.arange(-2, 3, dtype=torch.float64)
        centers = spacing * scale * torch.cartesian_prod(ticks, ticks)
        numbers = {"modes": 25, "spacing": spacing, "std": std, "scale": scale}
        return gaussian_mixture(centers.float().to(device), std * scale, numbers)


NOISE, SCALE = 0.25, 1 / 7.5


class SwissRoll(PointDataset):
    """The spiral t (cos t, sin t), t uniform in [3π/2, 9π/2], with noise of standard deviation 0.25, divided by 7.5.

    scikit-learn's ``make_swiss_roll`` without its middle coordinate.
    """

    named = "swiss_roll"
    source = "Gulrajani et al. 2017, arXiv:1704.00028, Fig. 1b"

    def load(self, data_root: Path | None, device: torch.device) -> PointData:
        """Return the distribution; ``data_root`` is not read."""
        numbers = {"start": 1.5, "end": 4.5, "noise": NOISE, "scale": SCALE}
        return PointData(_sample, hash_numbers(numbers), square_extent(4.5 * math.pi * SCALE + 0.25), NOISE * SCALE)


def _sample(n: int, rng: torch.Generator) -> Tensor:
    t = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=rng, device=rng.device))
    noise = torch.randn(n, 2, generator=rng, device=rng.device)
    return SCALE * (torch.stack([t * t.cos(), t * t.sin()], dim=1) + NOISE * noise)
