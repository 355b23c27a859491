import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Reported
from scipy.stats import gmean
from synthetic import Plan, dump, write_sweep

from lipschitz.report.reading.comparisons import rows_of
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.intervals import MEDIAN
from lipschitz.report.statistics.summary import COLUMNS, Summary


def row_of(summary: pd.DataFrame, **labels: str) -> pd.Series:
    rows = rows_of(summary, {"which": "last", **labels})
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture(scope="module")
def summary(reported: Reported) -> pd.DataFrame:
    return pd.read_csv(reported.folder / "summary.csv")


def final(folder: Path, run: str, metric: str, which: str = "last") -> float:
    result = json.loads((folder / "runs" / run / "result.json").read_text())
    return float((result["last"] if which == "last" else result["best"]["values"])[metric])


def test_the_columns_of_the_summary(summary: pd.DataFrame) -> None:
    assert list(summary.columns) == COLUMNS
    assert [
        *(
            "task",
            "dataset",
            "model",
            "constraint",
            "loss",
            "setting",
            "metric",
            "which",
            "n",
            "mean",
            "ci95",
            "diverged",
            "low",
            "high",
            "interval",
            "note",
        )
    ] == COLUMNS


def test_the_mean_is_over_finished_seeds_and_diverged_seeds_are_counted(
    summary: pd.DataFrame, reported: Reported
) -> None:
    row = row_of(summary, dataset="eight_gaussians", constraint="weight_clipping", metric="w1")
    runs = [f"eight_gaussians-hinge-C-weight_clipping-{seed}" for seed in (0, 2)]
    assert (row["n"], row["diverged"]) == (2, 1)
    assert row["mean"] == pytest.approx(gmean([final(reported.folder, run, "w1") for run in runs]))
    # A diverged seed has a best step too; it does not count.
    best = row_of(summary, dataset="eight_gaussians", constraint="weight_clipping", metric="w1", which="best")
    assert (best["n"], best["diverged"]) == (2, 1)
    assert best["mean"] == pytest.approx(gmean([final(reported.folder, run, "w1", "best") for run in runs]))


def test_failed_and_running_seeds_are_left_out_of_the_mean(summary: pd.DataFrame, reported: Reported) -> None:
    row = row_of(summary, dataset="digits", constraint="weight_clipping", metric="frechet_classifier")
    assert (row["n"], row["diverged"]) == (1, 0)
    assert row["mean"] == final(reported.folder, "digits-hinge-C-weight_clipping-0", "frechet_classifier")
    assert np.isnan(row["ci95"])


def test_a_time_has_the_number_of_its_calls_and_the_interval_of_its_rounds(summary: pd.DataFrame) -> None:
    row = row_of(summary, dataset="digits", constraint="gradient_penalty", metric="ms_discriminator_step")
    median = 3.0 * 1.9 * 2.5
    assert (row["n"], row["mean"]) == (50, pytest.approx(median))
    assert (row["low"], row["high"]) == pytest.approx((0.97 * median, 1.04 * median))
    assert row["ci95"] == pytest.approx(0.035 * median)
    assert row["interval"] == MEDIAN.name
    assert pd.isna(row["note"])
    # The growth of a process on a CPU is no memory of a method.
    assert "peak_memory" not in set(summary["metric"])


def test_the_floor_is_averaged_over_seeds(summary: pd.DataFrame) -> None:
    row = row_of(summary, dataset="eight_gaussians", constraint="real data", metric="w1")
    assert (row["n"], row["mean"]) == (3, pytest.approx(gmean([0.06, 0.063, 0.066])))


def test_the_largest_sigma_of_each_run_is_averaged(summary: pd.DataFrame, reported: Reported) -> None:
    row = row_of(summary, dataset="digits", constraint="none", metric="largest_sigma_operator")
    runs = [reported.folder / "runs" / f"digits-hinge-C-none-{seed}" / "result.json" for seed in (0, 1)]
    last = [json.loads(path.read_text())["last"] for path in runs]
    largest = [max(value for name, value in one.items() if name.startswith("sigma_operator/")) for one in last]
    assert row["mean"] == pytest.approx(gmean(largest))


def test_the_summary_has_rows_for_best_and_last(summary: pd.DataFrame) -> None:
    labels = {"dataset": "digits", "constraint": "none", "metric": "w1_classifier"}
    assert rows_of(summary, labels)["which"].tolist() == ["last", "best"]
    assert row_of(summary, **labels, which="best")["mean"] == pytest.approx(0.98 * row_of(summary, **labels)["mean"])


def test_a_method_with_diverged_seeds_only_has_a_row(tmp_path: Path) -> None:
    ends = {("eight_gaussians", "none", seed): "diverged" for seed in (0, 1)}
    plan = Plan(("eight_gaussians",), ("none", "gradient_penalty"), seeds=(0, 1), ends=ends, pictures=False)
    row = row_of(Summary(load(write_sweep(tmp_path, plan))).frame, constraint="none", metric="w1")
    assert (row["n"], row["diverged"]) == (0, 2)
    assert np.isnan(row["mean"])


def test_a_method_of_which_no_run_ended_has_no_row_of_what_was_measured(tmp_path: Path) -> None:
    plan = Plan(
        ("eight_gaussians",),
        ("none", "gradient_penalty"),
        seeds=(0,),
        ends={("eight_gaussians", "none", 0): "running"},
        pictures=False,
    )
    frame = Summary(load(write_sweep(tmp_path, plan))).frame
    assert set(frame.loc[frame["metric"] == "w1", "constraint"]) == {"gradient_penalty", "real data"}


def test_the_overview_counts_tuning_runs_too(tmp_path: Path) -> None:
    plan = {"datasets": ("eight_gaussians",), "constraints": ("none",), "evaluations": 1, "pictures": False}
    ends = {("eight_gaussians", "none", 100): "diverged", ("eight_gaussians", "none", 101): "running"}
    write_sweep(tmp_path, Plan(**plan, settings=("A", "C"), seeds=(100, 101, 102), ends=ends))
    judged = json.loads((tmp_path / "sweep.json").read_text())["runs"]
    shutil.rmtree(tmp_path / "runs" / judged[2])
    write_sweep(tmp_path, Plan(**plan, settings=("A",), seeds=(0, 1)))
    runs = json.loads((tmp_path / "sweep.json").read_text())["runs"]
    group = {"dataset": "eight_gaussians", "model": "mlp", "constraint": "none", "loss": "hinge"}
    choice = {"group": group, "setting": "A", "metric": "w1", "value": 1.0, "seeds": [100, 101, 102], "runs": judged}
    dump(tmp_path / "sweep.json", {"name": "tuned", "task": "generation", "runs": judged + runs, "chosen": [choice]})
    found = Summary(load(tmp_path)).overview
    # A folder without a result whose lock nobody holds is of a run that waits.
    assert found == {"planned": 8, "finished": 3, "diverged": 2, "waiting": 3}
    assert sum(found.values()) == 2 * found["planned"]
