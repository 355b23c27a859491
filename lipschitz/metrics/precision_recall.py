"""Precision, recall, density and coverage of generated samples, by k-nearest-neighbour balls."""

from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.metrics.float64_arithmetic import smallest, squared_row_norms
from lipschitz.metrics.inner_products import CentredSamples, SampleName, add_inner_products, centred
from lipschitz.metrics.sample_arrays import Samples, as_two_samples


class PrecisionRecall(NamedTuple):
    """Fidelity (precision, density) and diversity (recall, coverage): 0 to 1, except density, which may exceed 1."""

    precision: float
    """Share of generated samples that lie in the ball of at least one real sample."""
    recall: float
    """Share of real samples that lie in the ball of at least one generated sample."""
    density: float
    """Mean number of real balls that a generated sample lies in, divided by k."""
    coverage: float
    """Share of real balls that hold at least one generated sample."""


def precision_recall_density_coverage(fake: Samples, real: Samples, k: int) -> PrecisionRecall:
    """Compare ``fake`` ``(n, d)`` with ``real`` ``(m, d)`` by a ball around each sample.

    Precision and recall: Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1 and 2. Density and coverage: Naeem et al.
    2020, arXiv:2002.09797, eq. 3 and 4. The radius of a ball is the distance from its centre to the ``k``-th nearest
    other point of the same sample. Balls are closed, and the radius is widened by the rounding error that the distance
    of two equal points can have.

    Raises:
        ValueError: ``k`` below 1, ``k`` or fewer samples, dimensions differ, or a number is not finite.
    """
    samples = centred(*as_two_samples(fake, real))
    balls = NeighbourBalls(samples, k)
    add_inner_products(samples, [balls])
    return balls.result()


class NeighbourBalls:
    """The balls around the points of both samples, and which points they hold; a `BlockMetric`.

    Errors are those of `precision_recall_density_coverage`.
    """

    def __init__(self, samples: CentredSamples, k: int) -> None:
        fake, real, _ = samples
        if not 1 <= k < min(len(fake), len(real)):
            raise ValueError(
                f"expected k >= 1 and more than k samples each, got k {k}, {len(fake)} and {len(real)} samples"
            )
        by_name: dict[SampleName, Tensor] = {"fake": fake, "real": real}
        self._k = k
        self._norms = {name: squared_row_norms(x) for name, x in by_name.items()}
        # Rounding can change the squared distance of two equal points by this share of their squared norms.
        self._shrink = 1 - 4 * fake.shape[1] * torch.finfo(torch.float64).eps
        self._nearest = {name: x.new_full((len(x), k + 1), torch.inf) for name, x in by_name.items()}
        self._held = torch.zeros(len(fake), device=fake.device)
        self._recalled, self._covered = (real.new_zeros(len(real), dtype=torch.bool) for _ in range(2))

    def within(self, sample: SampleName, rows: slice, products: Tensor) -> None:
        """Update the k + 1 smallest squared distances of each point with those of ``rows`` to these and later rows."""
        norms, nearest = self._norms[sample], self._nearest[sample]
        squares = torch.add(norms[rows.start :], products, alpha=-2).add_(norms[rows, None])
        nearest[rows] = self._smallest(nearest[rows], squares)
        nearest[rows.stop :] = self._smallest(nearest[rows.stop :], squares[:, len(squares) :].T)

    def between(self, rows: slice, products: Tensor) -> None:
        """Count which real balls hold ``rows`` of the fake sample, and which real points the balls of ``rows`` hold."""
        fake, real = self._shrink * self._norms["fake"][rows, None], self._shrink * self._norms["real"]
        held = products - (real - self._squared_radii("real")) / 2 >= fake / 2
        self._held[rows] = held.sum(dim=1).float()
        self._covered |= held.any(dim=0)
        self._recalled |= (products - real / 2 >= (fake - self._squared_radii("fake")[rows, None]) / 2).any(dim=0)

    def result(self) -> PrecisionRecall:
        """Return precision, recall, density and coverage."""
        return PrecisionRecall(
            precision=float((self._held > 0).double().mean()),
            recall=float(self._recalled.double().mean()),
            density=float(self._held.double().mean()) / self._k,
            coverage=float(self._covered.double().mean()),
        )

    def _squared_radii(self, sample: SampleName) -> Tensor:
        # A centre is its own nearest point, so its k-th neighbour is at index k.
        return self._nearest[sample].amax(dim=1).clamp_min_(0)

    def _smallest(self, known: Tensor, more: Tensor) -> Tensor:
        """Return the k + 1 smallest values of each row of both."""
        return smallest(torch.cat([known, more], dim=1), self._k + 1)
