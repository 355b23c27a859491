"""Precision, recall, density and coverage: which samples lie among the nearest neighbours of others."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lipschitz.metrics.pairs import Floats, Sample, as_pair, over_pairs


class Neighbourhoods(NamedTuple):
    """Fidelity (precision, density) and diversity (recall, coverage); 0 to 1 but density, which may exceed 1."""

    precision: float
    """Share of generated samples inside the ball of some real one."""
    recall: float
    """Share of real samples inside the ball of some generated one."""
    density: float
    """Real balls that hold a generated sample, on average, over k."""
    coverage: float
    """Share of real balls that hold some generated sample."""


def precision_recall_density_coverage(fake: ArrayLike, real: ArrayLike, k: int) -> Neighbourhoods:
    """Compare ``fake`` ``(n, d)`` with ``real`` ``(m, d)`` by balls, each reaching to its centre's ``k``-th neighbour.

    Precision and recall: Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1 and 2. Density and coverage: Naeem et al.
    2020, arXiv:2002.09797, eq. 3 and 4. Neighbours of a ball's centre are of its own sample, itself left out, and a
    ball holds its rim, widened by what rounding can leave of the distance of two samples that coincide.

    Raises:
        ValueError: ``k`` below 1, no more than ``k`` samples, dimensions differ, or a number is not finite.
    """
    fake, real = as_pair(fake, real)
    balls = Balls(fake, real, k)
    over_pairs(fake, real, [balls])
    return balls.neighbourhoods()


class Balls:
    """The balls around samples ``fake`` ``(n, d)`` and ``real`` ``(m, d)``, and which samples they hold.

    Errors are those of `precision_recall_density_coverage`.
    """

    def __init__(self, fake: Floats, real: Floats, k: int) -> None:
        if not 1 <= k < min(len(fake), len(real)):
            raise ValueError(f"neighbour {k} of each takes more than {k} samples, not {len(fake)} and {len(real)}")
        samples: dict[Sample, Floats] = {"fake": fake, "real": real}
        self._k = k
        self._norms = {name: torch.from_numpy(np.einsum("ij,ij->i", x, x)) for name, x in samples.items()}
        # What rounding can add to the distance of two samples that coincide, relative to their squared norms.
        self._shrink = 1 - 4 * fake.shape[1] * np.finfo(np.float64).eps
        self._nearest = {
            name: torch.full((len(x), k + 1), torch.inf, dtype=torch.float64) for name, x in samples.items()
        }
        self._held = torch.zeros(len(fake))
        self._recalled, self._covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))

    def within(self, sample: Sample, rows: slice, products: Tensor) -> None:
        """Find squared distances of ``rows`` of a sample from themselves and all after them, and keep the smallest."""
        norms, nearest = self._norms[sample], self._nearest[sample]
        squares = torch.add(norms[rows.start :], products, alpha=-2).add_(norms[rows, None])
        nearest[rows] = self._smallest(nearest[rows], squares)
        nearest[rows.stop :] = self._smallest(nearest[rows.stop :], squares[:, len(squares) :].T)

    def between(self, rows: slice, products: Tensor) -> None:
        """Find which real balls hold ``rows`` of the generated sample, and which real samples their balls hold."""
        fake, real = self._shrink * self._norms["fake"][rows, None], self._shrink * self._norms["real"]
        held = products - (real - self._squared_radii("real")) / 2 >= fake / 2
        self._held[rows] = held.sum(dim=1).float()
        self._covered |= held.any(dim=0)
        self._recalled |= (products - real / 2 >= (fake - self._squared_radii("fake")[rows, None]) / 2).any(dim=0)

    def neighbourhoods(self) -> Neighbourhoods:
        """Return the four shares."""
        return Neighbourhoods(
            precision=float((self._held > 0).double().mean()),
            recall=float(self._recalled.double().mean()),
            density=float(self._held.double().mean()) / self._k,
            coverage=float(self._covered.double().mean()),
        )

    def _squared_radii(self, sample: Sample) -> Tensor:
        # A centre is the nearest of all to itself, so that its k-th neighbour comes after it.
        return self._nearest[sample].amax(dim=1).clamp_min_(0)

    def _smallest(self, known: Tensor, more: Tensor) -> Tensor:
        """Return the k + 1 smallest of each row of both; NumPy selects several times as fast as torch."""
        rows = torch.cat([known, more], dim=1).numpy()
        rows.partition(self._k, axis=1)
        return torch.from_numpy(rows[:, : self._k + 1])
