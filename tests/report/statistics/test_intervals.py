import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

import lipschitz.report
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.statistics.geometric import GEOMETRIC_METRICS, is_geometric
from lipschitz.report.statistics.intervals import (
    GEOMETRIC,
    MEAN,
    MEDIAN,
    PREDICTION,
    Interval,
    aggregate,
    half_width,
    mean_interval,
    prediction_half_width,
)


def frame(values: list[float], group: str = "a") -> pd.DataFrame:
    return pd.DataFrame({"group": group, "value": values})


def test_the_interval_of_three_seeds_by_hand() -> None:
    row = aggregate(frame([1.0, 2.0, 3.0]), ["group"]).iloc[0]
    assert (row["n"], row["mean"]) == (3, 2.0)
    quantile = 0.95 / math.sqrt(2 * 0.975 * 0.025)  # of Student's t with two degrees of freedom, in closed form
    assert row["ci95"] == pytest.approx(quantile * 1.0 / math.sqrt(3), rel=1e-10)


def test_the_prediction_interval_by_hand() -> None:
    """Of 1, 2 and 3: s = 1, √(1 + 1/3) = 2 / √3, and t with two degrees of freedom is 0.95 / √(2 · 0.975 · 0.025)."""
    half = prediction_half_width(np.array([1.0, 0.5, 1.0]), np.array([3, 2, 1]))
    assert half[0] == pytest.approx(0.95 / math.sqrt(2 * 0.975 * 0.025) * 2 / math.sqrt(3), rel=1e-10)
    # With one degree of freedom t is the tangent of 0.475 π.
    assert half[1] == pytest.approx(math.tan(0.475 * math.pi) * 0.5 * math.sqrt(1.5), rel=1e-10)
    assert math.isnan(half[2])


def test_a_new_seed_lies_in_the_prediction_interval_in_95_percent_of_cases() -> None:
    rng = np.random.default_rng(0)
    seeds, new = rng.normal(size=(20000, 3)), rng.normal(size=20000)
    half = prediction_half_width(seeds.std(axis=1, ddof=1), np.full(20000, 3))
    assert np.mean(np.abs(new - seeds.mean(axis=1)) <= half) == pytest.approx(0.95, abs=0.006)


def test_one_seed_has_a_mean_and_no_interval() -> None:
    row = aggregate(frame([5.0]), ["group"]).iloc[0]
    assert (row["n"], row["mean"]) == (1, 5.0)
    assert math.isnan(row["ci95"])


def test_missing_values_are_not_counted() -> None:
    row = aggregate(frame([1.0, math.nan, 3.0]), ["group"]).iloc[0]
    assert (row["n"], row["mean"]) == (2, 2.0)


def test_an_infinite_value_makes_the_mean_infinite() -> None:
    row = aggregate(frame([1.0, math.inf]), ["group"]).iloc[0]
    assert (row["n"], row["mean"]) == (2, math.inf)
    assert math.isnan(row["ci95"])


def test_groups_are_in_order_of_appearance() -> None:
    table = aggregate(pd.concat([frame([1.0], "z"), frame([2.0], "a")]), ["group"])
    assert list(table["group"]) == ["z", "a"]


def test_the_interval_of_a_distance_by_hand() -> None:
    """Of 0.1, 1 and 10 the logarithms are -l, 0 and l, l = log 10: geometric mean 1, and s = l."""
    values = pd.DataFrame({"metric": "w1", "value": [0.1, 1.0, 10.0]})
    row = aggregate(values, ["metric"]).iloc[0]
    half = 0.95 / math.sqrt(2 * 0.975 * 0.025) * math.log(10) / math.sqrt(3)
    assert (row["n"], row["mean"]) == (3, pytest.approx(1.0))
    assert (row["low"], row["high"]) == (pytest.approx(math.exp(-half)), pytest.approx(math.exp(half)))
    assert (row["predicted_low"], row["predicted_high"]) == (
        pytest.approx(math.exp(-2 * half)),
        pytest.approx(math.exp(2 * half)),
    )
    interval = mean_interval([0.1, 1.0, 10.0], "w1")
    assert (interval.mean, interval.low, interval.high) == pytest.approx((row["mean"], row["low"], row["high"]))
    assert (interval.centre, interval.half_width) == (pytest.approx(0.0, abs=1e-12), pytest.approx(half))
    assert (interval.method, interval.text) == (GEOMETRIC, "1.0 [0.0033, 300]")
    assert Interval.of_row(row) == interval


@given(st.lists(st.floats(1e-8, 1e8), min_size=2, max_size=12), st.sampled_from(sorted(GEOMETRIC_METRICS)))
def test_the_interval_of_a_positive_quantity_is_positive(values: list[float], metric: str) -> None:
    interval = mean_interval(values, metric)
    assert min(values) <= interval.mean <= max(values)
    assert interval.low > 0
    assert "±" not in interval.text or interval.text.endswith("± 0")


def test_equal_values_are_their_mean_without_rounding_errors() -> None:
    for values in ([5.0], [5.0, 5.0, 5.0]):
        assert mean_interval(values, "fid").mean == 5.0
        assert aggregate(pd.DataFrame({"metric": "fid", "value": values}), ["metric"]).iloc[0]["mean"] == 5.0
    assert mean_interval([5.0, 5.0, 5.0], "fid").text == "5 ± 0"


def test_zero_infinite_and_negative_values_of_a_positive_quantity() -> None:
    values = {"zero": [0.0, 1.0], "infinite": [1.0, math.inf], "negative": [-1e-9, 1.0]}
    rows = [(name, "lipschitz_upper", value) for name, both in values.items() for value in both]
    table = aggregate(pd.DataFrame(rows, columns=["group", "metric", "value"]), ["group", "metric"]).set_index("group")
    assert (table.loc["zero", "mean"], table.loc["infinite", "mean"]) == (0.0, math.inf)
    assert math.isnan(table.loc["negative", "mean"])
    assert table["ci95"].isna().all()


def test_metrics_with_geometric_means_are_of_the_catalogue() -> None:
    assert {name.removeprefix("largest_") for name in GEOMETRIC_METRICS} <= set(CATALOGUE)
    # Distances, norms and Lipschitz constants, also those that are added later. A dual value may be negative.
    kinds = ("w1", "fid", "frechet", "intra_frechet", "sigma", "lipschitz", "gradient_norm", "spectral_complexity")
    of_either_sign = {"w1_dual", "w1_independent", "w1_over_lower", "w1_over_upper"}
    assert {name for name in CATALOGUE if name.startswith(kinds)} - of_either_sign <= GEOMETRIC_METRICS
    assert is_geometric("fid/sngan [protocol 2]")
    assert not any(map(is_geometric, ("kid", "accuracy/test", "ms_iteration", "loss/generator")))


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_the_interval_equals_that_of_scipy(values: list[float]) -> None:
    deviation = np.array([np.std(values, ddof=1)])
    expected = t.ppf(0.975, len(values) - 1) * deviation / np.sqrt(len(values))
    np.testing.assert_allclose(half_width(deviation, np.array([len(values)])), expected, rtol=1e-9, atol=1e-12)


def test_an_interval_of_seeds_is_that_of_a_table() -> None:
    values = [1.0, 2.0, 4.0]
    row, interval = aggregate(frame(values), ["group"]).iloc[0], mean_interval(values)
    assert (interval.mean, interval.half_width, interval.n) == (row["mean"], row["ci95"], row["n"])
    assert (interval.low, interval.high) == (row["mean"] - row["ci95"], row["mean"] + row["ci95"])
    assert interval.method is MEAN
    assert mean_interval([2.0]).text == "2"
    half = prediction_half_width(np.array([np.std(values, ddof=1)]), np.array([3]))[0]
    assert (row["predicted_low"], row["predicted_high"]) == (row["mean"] - half, row["mean"] + half)


def test_an_interval_is_printed_with_its_half_width_and_without_one_alone() -> None:
    assert Interval.around(0.31249, 0.01234, 3).text == "0.312 ± 0.012"
    alone = Interval.around(0.5, math.nan, 1)
    assert (alone.text, alone.has_ends) == ("0.500", False)


def test_the_interval_of_a_timing_is_that_of_a_median() -> None:
    interval = Interval.of_timing({"median": 3.0, "low": 2.5, "high": 4.5, "n": 50})
    assert interval == Interval(3.0, 2.5, 4.5, 50, MEDIAN)
    alone = Interval.of_timing({"median": 3.0})
    assert (alone.has_ends, alone.n) == (False, 0)


def test_no_other_module_says_which_interval_is_used() -> None:
    folder = Path(lipschitz.report.__file__).parent
    words = re.compile(f"Student-t|95 ?%|{re.escape(PREDICTION.formula)}")
    files = [path for kind in ("*.py", "*.j2") for path in folder.rglob(kind)]
    assert [path.name for path in files if words.search(path.read_text())] == ["intervals.py"]
