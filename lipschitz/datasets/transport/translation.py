"""A translated Gaussian: P is Q, shifted in one direction."""

from pathlib import Path

import torch
from pydantic import PositiveFloat, PositiveInt

from lipschitz.datasets.base import Dataset
from lipschitz.datasets.points.point_data import hash_numbers
from lipschitz.datasets.transport.pair_data import PairData

MARGIN = 4.0
"""Distance of the axis limits of plots from either mean, in standard deviations."""


class Translation(Dataset):
    """Q standard normal, P the same shifted in one direction; the potential is linear, and W1 is ``distance``.

    The direction is that of (1, 2, ..., dim). It is neither an axis nor a diagonal: bounds on single weights would have
    an advantage there.
    """

    source = "Closed form"
    kind = "pairs"

    dim: PositiveInt = 2
    """Dimensions of the space."""
    distance: PositiveFloat = 1.0
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
        )

    def _extent(self, direction: list[float]) -> tuple[float, float, float, float]:
        (xmin, xmax), (ymin, ymax) = (sorted((0.0, self.distance * along)) for along in direction)
        return (xmin - MARGIN, xmax + MARGIN, ymin - MARGIN, ymax + MARGIN)
