"""A data set of your own: two half circles."""

import math
from pathlib import Path

import torch
from torch import Tensor

from lipschitz.datasets.base import Dataset
from lipschitz.datasets.point_data import PointData, hash_numbers


class TwoMoons(Dataset):
    """Two interleaving half circles of radius 1 with Gaussian noise."""

    source = "scikit-learn 1.5, sklearn.datasets.make_moons"
    kind = "points"

    noise: float = 0.05
    """Standard deviation of the noise."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(2,)``."""
        return (2,)

    def load(self, data_root: Path | None, device: torch.device) -> PointData:
        """Return the distribution; ``data_root`` is not read."""
        return PointData(self._sample, hash_numbers({"noise": self.noise}), (-2.0, 3.0, -1.5, 2.0), self.noise)

    def _sample(self, n: int, rng: torch.Generator) -> Tensor:
        angle = math.pi * torch.rand(n, generator=rng, device=rng.device)
        upper = torch.rand(n, generator=rng, device=rng.device) < 0.5
        x = torch.where(upper, angle.cos(), 1 - angle.cos())
        y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
        noise = torch.randn(n, 2, generator=rng, device=rng.device)
        return torch.stack([x, y], dim=1) + self.noise * noise
