"""Spearman's rank correlation over runs of several methods."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from lipschitz.report.statistics.rank_correlation import rank_correlation


def test_rho_is_that_of_scipy_with_ties_and_without_runs_that_lack_a_value() -> None:
    x = np.array([3.0, 1, 1, math.nan, 7, math.inf])
    y = np.array([0.1, 0.2, -0.3, 9.0, 0.2, 0.6])
    found = rank_correlation(x, y, np.array([0, 0, 1, 1, 2, 2]))
    kept = ~np.isnan(x)
    assert found.rho == pytest.approx(spearmanr(np.nan_to_num(x[kept], posinf=99), y[kept]).statistic)
    assert (found.n, found.methods) == (5, 3)


def test_the_test_counts_methods_and_not_their_seeds() -> None:
    # Four methods in perfect order: of 4! permutations the order itself and its reverse are as far from zero.
    x, groups = np.arange(4.0), np.arange(4)
    once = rank_correlation(x, x, groups)
    assert once.p == pytest.approx(2 / 24)
    seeds = rank_correlation(np.repeat(x, 50), np.repeat(x, 50), np.repeat(groups, 50))
    assert (seeds.rho, seeds.p, seeds.n) == (1.0, once.p, 200)
    assert rank_correlation(x, -x, groups).rho == -1.0


def test_the_interval_is_wider_than_that_of_as_many_independent_runs() -> None:
    random = np.random.default_rng(0)
    x = np.repeat(random.normal(size=8), 10)
    y = np.repeat(random.normal(size=8), 10) + x + 0.01 * random.normal(size=80)
    grouped = rank_correlation(x, y, np.repeat(np.arange(8), 10))
    alone = rank_correlation(x, y, np.arange(80))
    assert grouped.rho == alone.rho
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)
    assert grouped.low < grouped.rho < grouped.high


def test_two_methods_have_neither_interval_nor_test() -> None:
    found = rank_correlation(np.array([1.0, 2, 3]), np.array([1.0, 2, 4]), np.array([0, 0, 1]))
    assert found.rho == pytest.approx(1)
    assert math.isnan(found.low)
    assert math.isnan(found.p)
