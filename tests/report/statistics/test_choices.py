"""What is compared and what is bold, without a results folder: best rows, two metrics, targets."""

import math
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from lipschitz.errors import InputError
from lipschitz.report.statistics.intervals import Interval
from lipschitz.report.statistics.robustness import _metrics_to_compare
from lipschitz.report.statistics.summary import RIVALS, Lookup, Summary
from lipschitz.report.statistics.time_to_target import Target, default_target, parse_targets

NAN, INF = math.nan, math.inf


class Means(Lookup):
    """A lookup whose means are said by hand, one a row."""

    def __init__(self, means: list[float]) -> None:
        self.means = means

    def interval(self, row: "pd.Series[Any]", metric: str, which: str = "last") -> Interval:
        return Interval.around(self.means[int(str(row.name))], 0.1, 3)


@pytest.mark.parametrize(
    ("metric", "means", "failures", "best"),
    [
        ("w1", [1.0, 2.0, 3.0], [0, 0, 0], {0}),
        ("modes", [1.0, 2.0, 3.0], [0, 0, 0], {2}),
        ("w1", [2.0, 1.0, 1.0], [0, 0, 0], {1, 2}),
        ("w1", [1.0, 2.0, 3.0], [1, 0, 0], {1}),
        # By intervals of ± 0.1 of three seeds, 1.05 is not told apart from 1.
        ("w1", [1.0, 1.05, 3.0], [0, 0, 0], {0, 1}),
        ("modes", [3.0, 1.0, 2.95], [0, 0, 0], {0, 2}),
        # Of one row there is no best one, nor if neither direction is good.
        ("w1", [1.0, 2.0, 3.0], [1, 1, 0], set()),
        ("w1", [1.0, NAN, INF], [0, 0, 0], set()),
        ("modes", [1.0, 2.0, INF], [0, 0, 0], {1}),
        ("w1", [], [], set()),
        ("loss/generator", [1.0, 2.0, 3.0], [0, 0, 0], set()),
    ],
)
def test_the_rows_that_are_not_worse_than_the_best(
    metric: str, means: list[float], failures: list[int], best: set[int]
) -> None:
    """A failed seed counts as a diverged one."""
    none = [0] * len(failures)
    for diverged, failed in ((failures, none), (none, failures)):
        assert Means(means).best(pd.DataFrame({"diverged": diverged, "failed": failed}), metric, "last") == best


def test_nothing_is_the_best_by_one_seed() -> None:
    class Single(Means):
        def interval(self, row: "pd.Series[Any]", metric: str, which: str = "last") -> Interval:
            return Interval.around(self.means[int(str(row.name))], NAN, 1)

    assert Single([1.0, 2.0]).best(pd.DataFrame({"diverged": [0, 0], "failed": [0, 0]}), "w1", "last") == set()


def test_a_floor_is_found_by_its_name_and_its_metric() -> None:
    rows = [("real data", "w1", 0.5), ("real data", "modes", 8.0), ("none", "w1", 2.0)]
    frame = pd.DataFrame(rows, columns=["constraint", "metric", "mean"])
    frame = frame.assign(**dict.fromkeys(RIVALS, "same"), which="last", n=3)
    frame = frame.assign(low=frame["mean"] - 0.1, high=frame["mean"] + 0.1)
    lookup = Lookup(frame, None)  # type: ignore[arg-type]
    assert lookup.floor("real data", "modes") == Interval.around(8.0, 0.1, 3)
    assert lookup.floor("real data", "kid") is None
    assert lookup.floor("optimal", "w1") is None
    assert lookup.interval(frame.iloc[2], "w1").mean == 2.0
    assert math.isnan(lookup.interval(frame.iloc[2], "w1", "best").mean)
    assert (lookup.has("modes"), lookup.has("kid")) == (True, False)


def test_a_pair_whose_protocol_does_not_say_its_w1_has_none() -> None:
    facts = [{"w1": 1.5, "w1_standard_error": 0.01}, {"samples": 8}, {"w1": 9.0, "w1_standard_error": 9.0}]
    protocols = pd.DataFrame({"dataset": ["a", "b", "c"], "metric": ["w1_dual", "w1_dual", "cosine"], "facts": facts})
    assert Summary(SimpleNamespace(protocols=protocols)).true_w1 == {"a": (1.5, 0.01)}  # type: ignore[arg-type]


PROTOCOLS = ["fid/sngan", "inception_score/sngan", "kid/modern", "inception_score/modern"]


@pytest.mark.parametrize(
    ("quality", "chosen_by", "compared"),
    [
        (["w1", "modes"], [], ["w1", "modes"]),
        (["w1", "modes"], ["modes"], ["modes", "w1"]),
        (["w1", "modes"], ["fid/sngan"], ["w1", "modes"]),
        (["w1"], [], ["w1"]),
        ([], ["w1"], []),
        (["class_share/0"], [], []),
        (PROTOCOLS, [], ["fid/sngan", "inception_score/sngan"]),
        (PROTOCOLS, ["kid/modern"], ["kid/modern", "inception_score/modern"]),
        (["kid/modern", *PROTOCOLS[:2]], ["kid/modern"], ["kid/modern", "inception_score/sngan"]),
    ],
)
def test_one_metric_is_compared_and_one_of_the_other_direction(
    quality: list[str], chosen_by: list[str], compared: list[str]
) -> None:
    assert _metrics_to_compare(quality, chosen_by) == compared


@pytest.mark.parametrize(
    ("metric", "means", "value"),
    [
        # A division by the unit may round: 1.11 / 0.01 is above 111, 0.0101 / 0.0001 below 101.
        ("w1", [1.11, 1.11], 1.11),
        ("modes", [0.0101, 0.0101], 0.0101),
        ("w1", [1.1101, 1.1101], 1.12),
        ("modes", [0.01019, 0.01019], 0.0101),
        ("w1", [0.0, 0.0], 0.0),
        ("w1", [-1.119, -1.119], -1.11),
    ],
)
def test_a_default_target_has_three_digits_on_the_easier_side(metric: str, means: list[float], value: float) -> None:
    assert default_target(metric, means) == Target(metric, value)


def test_an_infinite_target_is_refused() -> None:
    for text in ("w1=inf", "w1=-inf", "w1=nan"):
        with pytest.raises(InputError, match="is not a finite number"):
            parse_targets([text])
