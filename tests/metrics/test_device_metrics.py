"""Metrics of tensors on a GPU equal those of the CPU within 1e-6, and copy nothing to the host but numbers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from device_tensors import on_device
from torch import Tensor

from lipschitz.metrics import float64_arithmetic as arithmetic
from lipschitz.metrics.base import measure_all
from lipschitz.metrics.catalogue import METRICS
from lipschitz.metrics.context import InceptionContext
from lipschitz.metrics.frechet import frechet_distance, moments
from lipschitz.metrics.mmd import kid
from lipschitz.metrics.mutual_information import inception_score
from lipschitz.metrics.precision_recall import precision_recall_density_coverage
from lipschitz.metrics.samples import InceptionSamples, InceptionTensors

Mover = Callable[[Tensor], Tensor]


@pytest.fixture(params=["imitated", pytest.param("cuda", marks=pytest.mark.gpu)])
def move(request: pytest.FixtureRequest) -> Mover:
    """Return what puts a tensor on a device: an imitation of one, and CUDA where there is a GPU."""
    return on_device if request.param == "imitated" else Tensor.cuda


def features(n: int, d: int, shift: float, seed: int) -> Tensor:
    """Return float32 features like an Inception network's: correlated, not negative, of unequal scales."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(d, d)) * np.geomspace(1, 1e-4, d)
    return torch.from_numpy(np.maximum(rng.normal(size=(n, d)) @ mixing + shift, 0).astype(np.float32))


FAKE, REAL = features(90, 24, 0.1, 1), features(80, 24, 0.0, 2)


@pytest.mark.parametrize("rows", [90, 20], ids=["more samples than dimensions", "fewer"])
def test_the_frechet_distance(move: Mover, rows: int) -> None:
    found = frechet_distance(move(FAKE[:rows]), move(REAL))
    assert found == pytest.approx(frechet_distance(FAKE[:rows], REAL), rel=1e-6)
    assert frechet_distance(move(FAKE[:rows]), move(FAKE[:rows])) == pytest.approx(0, abs=1e-12)


def test_a_dead_feature_costs_no_precision(move: Mover) -> None:
    x = FAKE.double()
    x[:, 3], x[:, 5] = 0, x[:, 4]
    expected = float(x.mean(dim=0).square().sum() + x.var(dim=0).sum())
    assert frechet_distance(move(x), move(2 * x)) == pytest.approx(expected, rel=1e-12)


def test_moments_stay_on_the_device(move: Mover) -> None:
    found = moments(move(FAKE))
    assert not found.mean.is_cpu
    assert not found.factor.is_cpu
    covariance = torch.cov(FAKE.double().T).as_subclass(Tensor)
    assert torch.allclose((found.factor.T @ found.factor).as_subclass(Tensor).to("cpu"), covariance, atol=1e-12)


@pytest.mark.parametrize("size", [None, 30])
def test_the_kid(move: Mover, size: int | None) -> None:
    there, here = (
        kid(put(FAKE), put(REAL), subsets=3 if size else 1, size=size, rng=np.random.default_rng(0))
        for put in (move, torch.clone)
    )
    assert there == pytest.approx(here, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("k", [1, 5])
def test_the_neighbours(move: Mover, k: int) -> None:
    there = precision_recall_density_coverage(move(FAKE), move(REAL), k)
    assert 0 < there.precision < 1
    assert there == pytest.approx(precision_recall_density_coverage(FAKE, REAL, k), rel=1e-6)
    same = precision_recall_density_coverage(move(FAKE), move(FAKE), k)
    assert same.precision == same.recall == same.coverage == 1


def test_the_inception_score(move: Mover) -> None:
    logits = 30 * FAKE
    assert inception_score(move(logits), 4) == pytest.approx(inception_score(logits, 4), rel=1e-9)


def test_all_metrics_of_a_protocol(move: Mover) -> None:
    metrics = METRICS.judging("inception", InceptionContext({}, "held-out images", 80, 90, 90, 3, 60, 0))
    values = [
        measure_all(
            metrics,
            InceptionSamples(
                InceptionTensors(*map(put, (FAKE, 30 * FAKE, FAKE[:60], REAL[:60]))), moments(put(REAL)), 3
            ),
        )
        for put in (move, torch.clone)
    ]
    assert len(values[0]) == 7
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_on_the_cpu_every_bit_is_numpys() -> None:
    # Committed results were measured with NumPy's order of summation.
    x = np.random.default_rng(0).normal(size=(300, 40)) @ np.random.default_rng(1).normal(size=(40, 40))
    tensor = torch.from_numpy(x)
    assert np.array_equal(arithmetic.column_means(tensor), x.mean(axis=0))
    assert np.array_equal(arithmetic.squared_row_norms(tensor), np.einsum("ij,ij->i", x, x))
    assert np.array_equal(arithmetic.product(tensor, tensor[0]), x @ x[0])
    assert arithmetic.sum_of_squares(tensor) == np.sum(x**2)
    assert arithmetic.nuclear_norm(tensor) == np.linalg.svd(x, compute_uv=False).sum()


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (0, 4)])
def test_the_nuclear_norm_against_the_svd(move: Mover, shape: tuple[int, int]) -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=shape))
    assert arithmetic.nuclear_norm(move(x)) == pytest.approx(float(torch.linalg.svdvals(x).sum()), rel=1e-12)


def test_small_singular_values_count(move: Mover) -> None:
    # Beside one of 1 a thousandth of a millionth is less than the root of a rounding error.
    x = torch.diag(torch.tensor([1.0, *[1e-9] * 20], dtype=torch.float64))
    assert arithmetic.nuclear_norm(move(x)) - 1 == pytest.approx(2e-8, rel=1e-6)


@pytest.mark.parametrize("wrong", [torch.full((3, 2), torch.nan), torch.zeros(3), torch.zeros(0, 2)])
def test_invalid_samples_are_refused(move: Mover, wrong: Tensor) -> None:
    with pytest.raises(ValueError, match=r"NaN or Inf|expected samples of shape \(n, d\)"):
        frechet_distance(move(wrong), move(wrong))
    with pytest.raises(ValueError, match="same dimension"):
        kid(move(FAKE), move(REAL[:, :3]))
