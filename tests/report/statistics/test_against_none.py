"""Tests of methods against none: references, families, corrected p-values and what is left out, by SciPy."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import Plan, write_sweep
from synthetic_classifiers import Classifier, curve, write_classifiers
from synthetic_transport import PENALTY, Method, Pairs, write_pairs

from lipschitz.report.reading.results import load
from lipschitz.report.statistics.against_none import COLUMNS, compare_with_none
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.write import report

FIRST, SECOND = "gouk_cnn", "gouk_cnn(dropout=0.5)"
ACCURACY = {
    (FIRST, "none"): [0.80, 0.81, 0.82],
    (FIRST, "aol"): [0.70, 0.72, 0.71],
    (SECOND, "none"): [0.83, 0.85, 0.84],
    (SECOND, "aol"): [0.81, 0.80, 0.83],
}


def runs_of(model: str, constraint: str, accuracies: list[float], status: str = "finished") -> list[Classifier]:
    last = {
        "pgd_accuracy/1": 0.5,
        "certified_accuracy/1": 0.1,
        "certified_accuracy_joint/1": 0.1,
        "fgsm_accuracy/0.1": 0.1,
    }
    return [
        Classifier(
            constraint,
            seed,
            curve((0.1, 0.1, 2.3, 2.3), (0.9, accuracy, 0.3, 0.5)),
            {**last, "pgd_accuracy/1": accuracy / 2},
            {"name": constraint},
            {"model": model},
            status=status if seed == 0 else "finished",
        )
        for seed, accuracy in enumerate(accuracies)
    ]


def compared(folder: Path, *runs: list[Classifier]) -> pd.DataFrame:
    return compare_with_none(Summary(load(write_classifiers(folder, [one for some in runs for one in some]))))


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    runs = [runs_of(*key, accuracies) for key, accuracies in ACCURACY.items()]
    return compared(tmp_path_factory.mktemp("against"), *runs)


def test_a_family_is_of_one_measure_and_has_both_references(comparisons: pd.DataFrame) -> None:
    assert list(comparisons.columns) == COLUMNS
    gaps = {"accuracy_gap", "accuracy_gap_at_train_accuracy/0.9"}
    assert set(comparisons["metric"]) == {"accuracy/test", *gaps, "pgd_accuracy/1", "certified_accuracy/1"}
    rows = comparisons[comparisons["metric"] == "accuracy/test"]
    found = set(rows[["model", "constraint", "against", "reference_model"]].itertuples(index=False, name=None))
    assert found == {
        (FIRST, "aol", "none", FIRST),
        (SECOND, "aol", "none", SECOND),
        (SECOND, "aol", "baseline", FIRST),
        (SECOND, "none", "baseline", FIRST),
    }
    assert set(rows["tests"]) == {4}


def test_p_values_and_effects_are_those_of_scipy(comparisons: pd.DataFrame) -> None:
    rows = comparisons[comparisons["metric"] == "accuracy/test"]
    p_values = []
    for row in rows.to_dict("records"):
        first, second = ACCURACY[row["model"], row["constraint"]], ACCURACY[row["reference_model"], "none"]
        p_values.append(stats.ttest_ind(first, second, equal_var=False).pvalue)
        assert row["p"] == pytest.approx(p_values[-1])
        assert row["difference"] == pytest.approx(sum(first) / 3 - sum(second) / 3)
        assert (row["n"], row["reference_n"]) == (3, 3)
    smallest = min(p_values)
    assert rows["p_holm"].min() == pytest.approx(4 * smallest)
    # Both deviations are 0.01 and the difference is -0.1: ten of them, times 1 - 3 / 15.
    aol = rows[(rows["model"] == FIRST) & (rows["constraint"] == "aol")].iloc[0]
    assert aol["g"] == pytest.approx(-8)


def test_the_gap_is_tested_as_its_own_measure(comparisons: pd.DataFrame) -> None:
    row = comparisons[(comparisons["metric"] == "accuracy_gap") & (comparisons["model"] == FIRST)].iloc[0]
    assert row["difference"] == pytest.approx(0.1)
    assert row["g"] == pytest.approx(8)


def test_a_gap_at_a_level_is_tested_where_every_seed_reached_it(tmp_path: Path) -> None:
    none, aol = runs_of(FIRST, "none", [0.8, 0.81, 0.83]), runs_of(FIRST, "aol", [0.7, 0.72, 0.73])
    level = "accuracy_gap_at_train_accuracy/0.9"
    assert (compared(tmp_path / "all", none, aol)["metric"] == level).sum() == 1
    aol[2] = aol[2]._replace(curve=curve((0.1, 0.1, 2.3, 2.3), (0.8, 0.73, 0.3, 0.5)))
    found = compared(tmp_path / "some", none, aol)
    assert "accuracy_gap" in set(found["metric"])
    assert level not in set(found["metric"])


def test_equal_values_without_spread_are_not_told_apart(comparisons: pd.DataFrame) -> None:
    rows = comparisons[comparisons["metric"] == "certified_accuracy/1"]
    assert set(rows["p_holm"]) == {1.0}
    assert set(rows["g"]) == {0.0}
    assert set(rows["tests"]) == {4}


def test_single_and_diverged_seeds_are_neither_tested_nor_counted(tmp_path: Path) -> None:
    none, aol = runs_of(FIRST, "none", [0.8, 0.81, 0.82]), runs_of(FIRST, "aol", [0.7, 0.72, 0.71])
    diverged = runs_of(FIRST, "soc", [0.7, 0.71, 0.72], "diverged")
    found = compared(tmp_path / "some", none, aol, diverged, runs_of(FIRST, "lot", [0.5]))
    assert set(found["constraint"]) == {"aol"}
    assert set(found.loc[found["metric"] == "accuracy/test", "tests"]) == {1}
    assert compared(tmp_path / "one", none[:1], aol[:1]).empty
    assert compared(tmp_path / "without", aol, runs_of(FIRST, "lot", [0.5, 0.6])).empty


def test_a_model_without_none_is_compared_with_the_first_models(tmp_path: Path) -> None:
    found = compared(tmp_path, runs_of(FIRST, "none", [0.8, 0.81]), runs_of(SECOND, "aol", [0.7, 0.72]))
    assert set(found["against"]) == {"baseline"}


def test_gans_are_tested_against_none_by_every_metric_of_quality(tmp_path: Path) -> None:
    plan = Plan(("digits",), ("none", "gradient_penalty", "weight_clipping"), evaluations=1, pictures=False)
    folder = write_sweep(tmp_path, plan)
    report(folder, limit_panels=0)
    table = pd.read_csv(folder / "significance.csv", keep_default_na=False)
    assert 'href="significance.csv"' in (folder / "index.html").read_text()
    assert list(table.columns) == COLUMNS
    found = set(table[["metric", "constraint", "against"]].itertuples(index=False, name=None))
    metrics = ("frechet_classifier", "w1_classifier")
    assert found == {(one, other, "none") for one in metrics for other in ("gradient_penalty", "weight_clipping")}
    values = {}
    for constraint in ("none", "gradient_penalty"):
        paths = folder.glob(f"runs/digits-hinge-C-{constraint}-*/result.json")
        values[constraint] = np.log([json.loads(path.read_text())["last"]["w1_classifier"] for path in paths])
    row = table.set_index(["metric", "constraint"]).loc[("w1_classifier", "gradient_penalty")]
    # A distance: by its logarithm.
    expected = stats.ttest_ind(values["gradient_penalty"], values["none"], equal_var=False)
    assert row["p"] == pytest.approx(expected.pvalue)
    assert (row["tests"], row["n"], row["reference_n"]) == (2, 3, 3)
    assert row["difference"] == pytest.approx(np.exp(values["gradient_penalty"].mean()) - np.exp(values["none"].mean()))
    assert row["g"] < 0


def test_critics_are_tested_against_none(tmp_path: Path) -> None:
    methods = (Method("none", {"name": "none"}), PENALTY)
    cosines = {("none", 2, 4): (0.1, 0.2, 0.3), (PENALTY.label, 2, 4): (0.8, 0.9, 0.9)}
    pairs = Pairs(methods, dims=(2,), widths=(4,), cosines=cosines, pictures=False)
    report(write_pairs(tmp_path, pairs), limit_panels=0)
    table = pd.read_csv(tmp_path / "significance.csv", keep_default_na=False).set_index("metric")
    assert set(table["constraint"]) == {PENALTY.label}
    assert set(table["against"]) == {"none"}
    expected = stats.ttest_ind(*cosines.values(), equal_var=False)
    assert table.loc["cosine", "p"] == pytest.approx(expected.pvalue)


def test_the_tests_are_in_a_csv_file_and_on_the_page(tmp_path: Path) -> None:
    runs = [one for key, accuracies in ACCURACY.items() for one in runs_of(*key, accuracies)]
    # A task's label has its fields.
    task = {"task": "classification(train_size=300)"}
    runs = [one._replace(labels={**one.labels, **task}) for one in runs]
    folder = write_classifiers(tmp_path, runs)
    report(folder, limit_panels=0)
    table = pd.read_csv(folder / "significance.csv", keep_default_na=False)
    assert list(table.columns) == COLUMNS
    assert len(table) == 20
    page = (folder / "index.html").read_text()
    assert 'href="significance.csv"' in page
    assert "Accuracy and gap against none" in page
