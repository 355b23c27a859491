"""Metrics of samples far from zero: the digits of their differences must not be lost in those of the samples."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lipschitz.metrics.frechet import frechet_distance
from lipschitz.metrics.mmd import kid
from lipschitz.metrics.mode_coverage import high_quality_share, modes_covered
from lipschitz.metrics.precision_recall import precision_recall_density_coverage
from lipschitz.metrics.wasserstein import wasserstein1

SHIFTS = [2.0**13, -(2.0**17), 2.0**20]
"""About 1e4 to 1e6; shifts by them round no sample."""


def samples() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two samples of multiples of 1/1024, ``(60, 8)`` and ``(50, 8)``."""
    rng = np.random.default_rng(0)
    fake, real = rng.normal(0.3, 1.0, (60, 8)), rng.normal(0.0, 1.2, (50, 8))
    return np.round(fake * 1024) / 1024, np.round(real * 1024) / 1024


@pytest.mark.parametrize("shift", SHIFTS)
def test_distances_do_not_depend_on_a_shift(shift: float) -> None:
    fake, real = samples()
    # Narrow enough that without centring the squared distances had no digits left.
    fake, real = fake / 64, real / 64
    there = fake + shift, real + shift
    assert precision_recall_density_coverage(*there, 3) == precision_recall_density_coverage(fake, real, 3)
    assert frechet_distance(*there) == pytest.approx(frechet_distance(fake, real), rel=1e-5)
    assert wasserstein1(there[0][:50], there[1]) == pytest.approx(wasserstein1(fake[:50], real), rel=1e-12)
    centers = real[:5]
    assert modes_covered(there[0], centers + shift, 0.01) == modes_covered(fake, centers, 0.01)
    assert high_quality_share(there[0], centers + shift, 0.01) == high_quality_share(fake, centers, 0.01)


@pytest.mark.parametrize("shift", [0.0, *SHIFTS])
def test_the_kid_equals_that_of_exact_integers(shift: float) -> None:
    # The kernel depends on a shift, so the value to reach is that of integer arithmetic: (x·y + d)³ in units of 1/1024.
    fake, real = (part + shift for part in samples())
    x, y = ([[int(value) for value in row] for row in part * 1024] for part in (fake, real))

    def kernel(a: list[int], b: list[int]) -> int:
        return (sum(p * q for p, q in zip(a, b, strict=True)) + 8 * 1024**2) ** 3

    def within(rows: list[list[int]]) -> tuple[int, int]:
        pairs = sum(kernel(a, b) for i, a in enumerate(rows) for b in rows[:i])
        return 2 * pairs, len(rows) * (len(rows) - 1)

    (own, n), (other, m) = within(x), within(y)
    between, k = sum(kernel(a, b) for a in x for b in y), len(x) * len(y)
    exact = (own * m * k + other * n * k - 2 * between * n * m) / (n * m * k * (8 * 1024**2) ** 3)
    assert kid(fake, real).mean == pytest.approx(exact, rel=1e-7)
