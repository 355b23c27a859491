"""Average ranks over places: ties, diverged seeds, methods and places that are missing, and the report's table."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from lipschitz.report.statistics.average_rank import AverageRanks, average_ranks
from lipschitz.report.statistics.final_quality import Contest, FinalQuality, Method
from lipschitz.report.statistics.intervals import mean_interval
from lipschitz.report.statistics.significance import compare_with_best
from lipschitz.report.tables.average_rank import family_sentences, table

Seeds = Sequence[float]


def method(name: str, seeds: Seeds, diverged: int = 0, failed: int = 0) -> Method:
    return Method(name, name, mean_interval(seeds, "w1"), tuple(seeds), diverged, failed)


def place(title: str, methods: list[Method], metric: str = "w1") -> FinalQuality:
    intervals = [one.interval for one in methods]
    contest = Contest(title, methods, compare_with_best(intervals, lower_is_better=metric == "w1"), methods)
    return FinalQuality("generation", "points", "points", metric, math.nan, [contest])


def ranks_of(*found: FinalQuality) -> AverageRanks:
    ranks = average_ranks(found)
    assert ranks is not None
    return ranks


def by_name(found: AverageRanks) -> dict[str, tuple[float, ...]]:
    return {one.name: one.ranks for one in found.methods}


FIRST = [method("none", (3, 4)), method("aol", (1, 2)), method("bjorck", (2, 3))]


def test_ranks_are_by_place_and_sorted_by_their_mean() -> None:
    second = [method("none", (1, 1.1)), method("aol", (2, 2.1)), method("bjorck", (3, 3.1))]
    found = ranks_of(place("He", FIRST), place("normal", second))
    assert [one.name for one in found.methods] == ["aol", "none", "bjorck"]
    assert by_name(found) == {"aol": (1, 2), "none": (3, 1), "bjorck": (2, 3)}
    assert (found.reference, found.places) == ("none", ["points, He", "points, normal"])
    aol, none, _ = found.methods
    assert aol.average.mean == 1.5
    assert aol.average.n == 2
    assert (aol.average.low, aol.average.high) == (1, 3), "cut to ranks that exist"
    assert none.improvement is None
    assert aol.improvement is not None
    assert aol.improvement.probability == pytest.approx(0.5)


def test_where_higher_is_better_the_highest_is_first() -> None:
    found = ranks_of(place("He", FIRST), place("He", FIRST, "accuracy/test"))
    assert by_name(found)["aol"] == (1, 3)


def test_equal_means_share_their_ranks() -> None:
    equal = [method("none", (1, 2)), method("aol", (1, 2)), method("bjorck", (3, 4))]
    found = ranks_of(place("He", equal), place("normal", equal))
    assert by_name(found) == {"none": (1.5, 1.5), "aol": (1.5, 1.5), "bjorck": (3, 3)}


def test_a_method_with_a_diverged_seed_is_last() -> None:
    diverged = [FIRST[0], method("aol", (1, 2), diverged=1), FIRST[2]]
    found = ranks_of(place("He", diverged), place("normal", FIRST))
    assert by_name(found)["aol"] == (3, 1)
    improvement = next(one.improvement for one in found.methods if one.name == "aol")
    assert improvement is not None
    assert improvement.probability == pytest.approx((4 / 6 + 1) / 2)


def test_the_largest_full_table_is_ranked() -> None:
    more = [*FIRST, method("lot", (1, 3)), method("soc", (1, 3))]
    few = FIRST[:2]
    found = ranks_of(place("He", more), place("dirac", few), place("normal", more))
    assert found.places_left_out == ["points, dirac"]
    assert len(found.methods) == 5
    failed = [*FIRST, method("lot", (1, 3), failed=1), method("soc", (1.0,))]
    found = ranks_of(place("He", more), place("normal", failed))
    assert found.left_out == ["lot", "soc"]


def test_one_place_or_two_methods_have_no_average_rank() -> None:
    assert average_ranks([place("He", FIRST)]) is None
    assert average_ranks([place("He", FIRST[:2]), place("normal", FIRST[:2])]) is None


def test_without_none_the_best_method_is_the_reference() -> None:
    found = ranks_of(
        place("He", [*FIRST[1:], method("lot", (5, 6))]), place("normal", [*FIRST[1:], method("lot", (5, 6))])
    )
    assert found.reference == "aol"


def test_the_table_has_a_sentence_for_each_family() -> None:
    found = ranks_of(place("He", FIRST), place("normal", FIRST))
    assert family_sentences(found) == [
        "Certified layers: average ranks from 1 to 2 of 3, the best is aol, better than none in 100 % of pairs of runs.",
        "No constraint: none has average rank 3 of 3.",
    ]
    made = table(found)
    assert [column.head for column in made.columns][-1] == "P(better than none)"
    assert [row[0].text for row in made.rows] == ["aol", "bjorck", "none"]
    low = float(made.rows[0][-1].text.split("[")[1].split(",")[0])
    assert 0 < low < np.nextafter(1, 0)
