"""Tables of published and our values of critics: verdicts, intervals, steps, notes and ranks, worked out by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import Plan, write_sweep
from synthetic_transport import (
    CLIPPING,
    NORMALIZATION,
    ONE_SIDED,
    PENALTY,
    SORTING,
    Pairs,
    write_pairs,
)
from table_text import text_rows

from lipschitz.report.published import critic_tables, ranks
from lipschitz.report.published.critics import CriticFamily, families
from lipschitz.report.published.verdicts import verdict
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary

T2 = 0.95 / math.sqrt(2 * 0.975 * 0.025)
"""Student's t at 0.975 with two degrees of freedom, in closed form."""


def family_of(folder: Path, plan: Pairs) -> CriticFamily:
    (family,) = families(Summary(load(write_pairs(folder, plan))))
    return family


@pytest.mark.parametrize(
    ("difference", "half_width", "n", "near", "words"),
    [
        (0.02, 0.5, 3, 0.03, ("yes", "yes")),
        (-0.02, 0.001, 3, 0.03, ("yes", "no")),
        (-0.2, 0.3, 3, 0.03, ("no", "yes")),
        (0.2, 0.1, 5, 0.03, ("no", "no")),
        (0.02, 0.9, 2, 0.03, ("–", "too few seeds")),
        (0.02, math.nan, 1, 0.03, ("–", "too few seeds")),
    ],
)
def test_the_verdicts_within_the_distance_and_in_the_interval(
    difference: float, half_width: float, n: int, near: float, words: tuple[str, str]
) -> None:
    assert (
        verdict(0.5, 0.5 + difference, (0.5 + difference - half_width, 0.5 + difference + half_width), n, near) == words
    )


def test_a_row_by_hand(tmp_path: Path) -> None:
    """Seeds .7, .8 and .9 at dimension 2 with 4 funnels, where .845 was published: s = .1, so t s √(4/3) = .497."""
    plan = Pairs((PENALTY,), (2,), (4,), cosines={(PENALTY.label, 2, 4): (0.7, 0.8, 0.9)})
    cosine, *others = critic_tables.tables(family_of(tmp_path, plan))
    assert others == [], "no L2 or W1 was published there"
    half = T2 * 0.1 * math.sqrt(4 / 3)
    assert text_rows(cosine) == [
        {
            "Dim": "2",
            "Funnels": "4",
            "Method": "gradient penalty",
            "Steps: published": "60000 or 40000",
            "Steps: ours": "2000",
            "Optimal potential": "0.882",
            "Published": "0.845",
            "Ours: mean": "0.800",
            "Ours: at the other steps": "–",
            "Ours: prediction interval": f"{0.8 - half:.3f} to 1.000",
            "Ours: n": "3",
            "Ours - published": "-0.045",
            "Within .03": "no",
            "In the 95 % prediction interval": "yes",
        }
    ]
    assert "1 row with other steps: 0 of 1 within .03, 1 of 1 in the prediction interval." in cosine.notes
    assert any("2206.07767" in note for note in cosine.notes)
    assert "after the last step" in cosine.caption


def test_the_value_after_the_last_step_is_compared(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, Pairs((PENALTY,), (2,), (4,), seeds=(0,), cosines={(PENALTY.label, 2, 4): (0.5,)}))
    path = next(folder.glob("runs/*/result.json"))
    result = json.loads(path.read_text())
    result["best"]["values"]["cosine_float32"] = 0.9
    path.write_text(json.dumps(result))
    (family,) = families(Summary(load(folder)))
    (row,) = text_rows(critic_tables.tables(family)[0])
    assert (row["Ours: mean"], row["Ours: prediction interval"]) == ("0.500", "–")
    assert row["In the 95 % prediction interval"] == "too few seeds"


def test_only_metrics_measured_as_published_are_compared(tmp_path: Path) -> None:
    cosines = {(PENALTY.label, 2, 4): (0.9, 0.91, 0.92)}
    plan = Pairs((PENALTY,), (2,), (4,), cosines=cosines, rounding=0.1)
    (row,) = text_rows(critic_tables.tables(family_of(tmp_path / "new", plan))[0])
    assert (row["Ours: mean"], row["Ours - published"]) == ("0.810", "-0.035")
    old = family_of(tmp_path / "old", replace(plan, as_published=False))
    (table,) = critic_tables.tables(old)
    (row,) = text_rows(table)
    assert (row["Optimal potential"], row["Ours: mean"], row["Ours: n"]) == ("–", "–", "0")
    assert row["In the 95 % prediction interval"] == "not measured as published"
    assert "1 row with other steps: 1 not measured as published." in table.notes
    assert ranks.tables(old) == []


def test_our_value_is_shown_at_both_possible_numbers_of_published_steps(tmp_path: Path) -> None:
    """The synthetic cosine grows with the steps: after 5,000 of 10,000 it is half of its last."""
    longer = replace(NORMALIZATION, steps=10_000)
    cosines = {(NORMALIZATION.label, 2, 4): (0.4, 0.5, 0.6)}
    table = critic_tables.tables(family_of(tmp_path, Pairs((CLIPPING, longer), (2,), (4,), cosines=cosines)))[0]
    clipping, row = text_rows(table)
    assert (row["Steps: published"], row["Ours: mean"]) == ("10000 or 5000", "0.500")
    assert row["Ours: at the other steps"] == "0.250"
    assert (clipping["Steps: published"], clipping["Ours: at the other steps"]) == ("5000", "–")


def test_rows_with_other_steps_are_counted_separately(tmp_path: Path) -> None:
    """Published: clipping .072 after 5,000, the penalties .845 and .818 after 60,000 or 40,000, sorting .773."""
    methods = (
        replace(CLIPPING, steps=5_000),
        replace(PENALTY, steps=60_000),
        replace(ONE_SIDED, steps=40_000),
        replace(SORTING, steps=20_000),
    )
    values = (0.072, 0.845, 0.7, 0.773)
    cosines = {
        (method.label, 2, 4): (value - 0.001, value, value + 0.001)
        for method, value in zip(methods, values, strict=True)
    }
    table = critic_tables.tables(family_of(tmp_path, Pairs(methods, (2,), (4,), cosines=cosines)))[0]
    said = (
        "3 rows with the published steps: 2 of 3 within .03, 2 of 3 in the prediction interval; "
        "1 row with other steps: 1 of 1 within .03, 1 of 1 in the prediction interval."
    )
    assert table.notes[0] == said


def test_differences_that_no_setting_removes_are_noted(tmp_path: Path) -> None:
    methods = (PENALTY, NORMALIZATION, SORTING)
    notes = " ".join(critic_tables.tables(family_of(tmp_path, Pairs(methods, (2,), (4,))))[0].notes)
    assert "spectral normalization: the gradient through σ is kept" in notes
    assert "sorting out: the Cayley map" in notes
    assert "gradient penalty: the" not in notes


def test_an_interval_is_clipped_to_the_range_of_its_metric(tmp_path: Path) -> None:
    cosines = {(SORTING.label, 16, 4): (0.8, 0.99, 0.9), (CLIPPING.label, 16, 4): (-0.9, -0.6, -0.8)}
    cosine, distance, _ = critic_tables.tables(
        family_of(tmp_path, Pairs((CLIPPING, SORTING), (16,), (4,), cosines=cosines))
    )
    ends = [row["Ours: prediction interval"].split(" to ") for row in text_rows(cosine)]
    assert (ends[0][0], ends[1][1]) == ("-1.000", "1.000")
    # A squared distance is positive, and so is the interval of its logarithm.
    assert float(text_rows(distance)[1]["Ours: prediction interval"].split(" to ")[0]) > 0


def test_only_finished_seeds_count_and_diverged_seeds_are_named(tmp_path: Path) -> None:
    ends = {
        (PENALTY.label, 2, 4, 1): "diverged",
        (PENALTY.label, 2, 4, 2): "running",
        **{(CLIPPING.label, 2, 4, seed): "diverged" for seed in (0, 1, 2)},
        **{(SORTING.label, 2, 4, seed): "running" for seed in (0, 1, 2)},
    }
    plan = Pairs((CLIPPING, PENALTY, SORTING), (2,), (4,), cosines={(PENALTY.label, 2, 4): (0.84, 0.1, 0.1)}, ends=ends)
    family = family_of(tmp_path, plan)
    clipping, penalty = text_rows(critic_tables.tables(family)[0])
    assert (penalty["Ours: mean"], penalty["Ours: n"], penalty["In the 95 % prediction interval"]) == (
        "0.840",
        "1",
        "too few seeds",
    )
    assert (clipping["Ours: mean"], clipping["Ours: n"], clipping["In the 95 % prediction interval"]) == (
        "–",
        "0",
        "none finished",
    )
    named = "clipping at dim 2, 4 funnels (seed 0, 1, 2); gradient penalty at dim 2, 4 funnels (seed 1)"
    assert f"Diverged seeds, in no mean: {named}." in critic_tables.tables(family)[0].notes


def test_tables_of_l2_and_w1_with_the_true_w1(tmp_path: Path) -> None:
    plan = Pairs((CLIPPING, SORTING), (16,), (4,), cosines={(CLIPPING.label, 16, 4): (0.3, 0.3, 0.3)})
    _, distance, w1 = critic_tables.tables(family_of(tmp_path, plan))
    clipping, sorting = text_rows(distance)
    assert (clipping["Published"], clipping["Ours: mean"], clipping["In the 95 % prediction interval"]) == (
        "6.90",
        "0.910",
        "no",
    )
    assert "Within .03" not in clipping
    assert sorting["Published"] == "0.059", "as it was printed"
    # The synthetic critic's W1 is its cosine times the true one, 1.5.
    assert next(row["Ours: mean"] for row in text_rows(w1)) == "0.450"
    assert "The true W1, published and ours: dim 16, 4 funnels: 1.94 and 1.500." in w1.notes


def test_differences_of_the_runs_are_noted(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, Pairs((PENALTY,), (2,), (4,)))
    for path in folder.glob("runs/*/run.json"):
        definition = json.loads(path.read_text())
        definition["run"]["training"] |= {"batch_size": 256, "precision": "tf32"}
        definition["run"]["constraints"][0]["weight"] = 1.0
        path.write_text(json.dumps(definition))
    (family,) = families(Summary(load(folder)))
    changed = "batch_size 256 for 1024, precision tf32 for float32, weight 1.0 for 10.0"
    said = f"Differences from the published runs besides steps: gradient penalty: {changed}."
    assert said in critic_tables.tables(family)[0].notes


def test_two_constraints_of_one_published_method_have_a_row_each(tmp_path: Path) -> None:
    other = replace(CLIPPING, label="weight_clipping(c=0.1)", constraint={**CLIPPING.constraint, "c": 0.1})
    cosines = {(CLIPPING.label, 2, 4): (0.07, 0.08, 0.09), (other.label, 2, 4): (0.01, 0.02, 0.03)}
    family = family_of(tmp_path, Pairs((other, CLIPPING, SORTING), (2,), (4,), cosines=cosines))
    rows = text_rows(critic_tables.tables(family)[0])
    assert [row["Constraint"] for row in rows] == [other.label, CLIPPING.label, SORTING.label]
    (row,) = text_rows(ranks.tables(family)[0])
    assert row["clipping: ours"] == "2"
    assert "c 0.1 for 0.04" not in " ".join(ranks.tables(family)[0].notes), "the run with the published c is ranked"


@pytest.mark.parametrize(("spread", "reversed_"), [(0.001, "1"), (0.035, "0")])
def test_a_pair_is_not_reversed_if_the_variation_of_one_published_seed_explains_it(
    tmp_path: Path, spread: float, reversed_: str
) -> None:
    """Published: one-sided .676, gradient penalty .355; ours .5 and .8, the other way round.

    With s = .035 one seed lies within t s √(4/3) = .174, so that the published two may be equal, and the mean of three
    within t s / √3 = .087, so that ours are apart.
    """
    offsets = (-spread, 0.0, spread)
    cosines = {
        (PENALTY.label, 2, 64): tuple(0.8 + offset for offset in offsets),
        (ONE_SIDED.label, 2, 64): tuple(0.5 + offset for offset in offsets),
    }
    (table,) = ranks.tables(family_of(tmp_path, Pairs((PENALTY, ONE_SIDED), (2,), (64,), cosines=cosines)))
    (row,) = text_rows(table)
    assert row["Pairs: reversed"] == reversed_
    assert row["Pairs: not apart"] == str(1 - int(reversed_))


def test_the_ranks_of_a_sweep_by_hand(tmp_path: Path) -> None:
    """Published with 64 funnels in the plane: one-sided .676, sorting out .661, gradient penalty .355."""
    cosines = {
        (PENALTY.label, 2, 64): (0.700, 0.701, 0.702),
        (ONE_SIDED.label, 2, 64): (0.600, 0.601, 0.602),
        (SORTING.label, 2, 64): (0.5, 0.6, 0.7),
        (CLIPPING.label, 2, 64): (0.9, 0.9, 0.9),
    }
    ends = {(CLIPPING.label, 2, 64, seed): "diverged" for seed in (0, 1)}
    plan = Pairs((CLIPPING, PENALTY, ONE_SIDED, SORTING), (2,), (64,), cosines=cosines, ends=ends)
    (table,) = ranks.tables(family_of(tmp_path, plan))
    assert text_rows(table) == [
        {
            "Dim": "2",
            "Funnels": "64",
            "gradient penalty: published": "3",
            "gradient penalty: ours": "1 to 2",
            "one-sided (LP): published": "1",
            "one-sided (LP): ours": "2 to 3",
            "sorting out: published": "2",
            "sorting out: ours": "1 to 3",
            "Pairs: alike": "0",
            "Pairs: not apart": "2",
            "Pairs: reversed": "1",
        }
    ]
    assert "Reversed in ours: dim 2, 64 funnels: gradient penalty above one-sided (LP)." in table.notes
    steps = "Steps, published and ours: gradient penalty 60000 or 40000 and 2000, one-sided (LP) 60000 or 40000 and"
    assert any(note.startswith(steps) for note in table.notes)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_one_seed_has_no_ranks(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    assert bool(ranks.tables(family_of(tmp_path, Pairs(seeds=seeds, pictures=False)))) is (len(seeds) > 1)


def test_without_a_published_pair_there_is_no_table(tmp_path: Path) -> None:
    family = family_of(tmp_path / "formula", Pairs(published=False, pictures=False))
    assert critic_tables.tables(family) == ranks.tables(family) == []
    assert (
        families(Summary(load(write_sweep(tmp_path / "generation", Plan(("digits",), seeds=(0,), pictures=False)))))
        == []
    )
