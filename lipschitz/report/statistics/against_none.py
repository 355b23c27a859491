"""Welch's tests of methods against the network without a constraint, corrected by Holm, one family a measure."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lipschitz.report.reading.comparisons import COMPARISON, LABELS
from lipschitz.report.reading.display_names import bare_name
from lipschitz.report.reading.metric_names import better, parse_metric
from lipschitz.report.statistics.intervals import MISSING_INTERVAL, Interval
from lipschitz.report.statistics.significance import compare_pairs
from lipschitz.report.statistics.summary import Summary

NONE, BASELINE = "none", "baseline"
"""What a method is compared with: ``none`` of the same model, loss and setting, or, for classifiers, that of the first
model."""
MEASURES = (
    "accuracy/test",
    "accuracy_gap",
    "accuracy_gap_at_train_accuracy",
    "loss_gap_at_train_loss",
    "pgd_accuracy",
    "certified_accuracy",
)
"""What of classifiers is tested after the last step: a metric, or all metrics of this base. Of GANs and critics it is
quality."""
_TASKS = ("classification", "generation", "transport")
COLUMNS = [
    *(name for name in LABELS if name != "task"),
    *("metric", "against", "reference_model", "reference_loss", "reference_setting"),
    *("n", "reference_n", "mean", "reference_mean", "difference", "g", "p", "p_holm", "tests"),
]
"""Columns of ``significance.csv``. ``p_holm`` is ``p`` corrected for all ``tests`` of a metric on a data set."""


def compare_with_none(summary: Summary) -> pd.DataFrame:
    """Return a row for each test, columns `COLUMNS`; no rows where nothing can be tested.

    Every configuration is compared with `NONE`, and classifiers of another model than the first with `BASELINE`, too.
    The difference is the mean of the configuration less that of its reference. Not tested are configurations with fewer
    than two seeds, with a diverged or failed one, or with one that has no value: a gap at a level of training accuracy
    has none where a seed never reached that level.
    """
    frame = summary.frame
    frame = frame[frame["task"].map(is_tested_task) & (frame["which"] == "last")]
    quality = [name for name in summary.quality_metrics if better(name)]
    tested = [
        _is_tested(metric) if _is_classification(task) else metric in quality
        for task, metric in zip(frame["task"], frame["metric"], strict=True)
    ]
    frame = frame[np.array(tested, dtype=bool)]
    whole = _whole(summary)
    rows: list[dict[str, Any]] = []
    for (_, _, metric), family in frame.groupby(["task", "dataset", "metric"], sort=False):
        runs = [row for row in family.to_dict("records") if _key(row) in summary.results.configurations]
        rows += ({"metric": metric, **row} for row in _family(runs, whole))
    return pd.DataFrame(rows, columns=COLUMNS)


def is_tested_task(label: str) -> bool:
    """Return whether the runs of a task are tested; its label has the fields that differ from their defaults, too."""
    return bare_name(label) in _TASKS


def _is_classification(label: str) -> bool:
    return bare_name(label) == "classification"


def _is_tested(name: str) -> bool:
    parsed = parse_metric(name)
    return parsed.base in MEASURES or parsed.recorded in MEASURES


def _whole(summary: Summary) -> dict[tuple[str, ...], int]:
    """Return by its labels the number of seeds of each configuration without a diverged or failed seed."""
    counts = summary.counts
    return dict(counts.loc[counts["diverged"] + counts["failed"] == 0, "finished"])


def _key(row: dict[Any, Any]) -> tuple[str, ...]:
    return tuple(row[name] for name in LABELS)


def _family(rows: list[dict[Any, Any]], whole: Mapping[tuple[str, ...], int]) -> Iterator[dict[str, Any]]:
    """Yield the tests of one metric on one data set; ``rows`` are those of the summary, in the plan's order."""
    nones = [place for place, row in enumerate(rows) if row["constraint"] == NONE]
    if not nones:
        return
    of_comparison = {tuple(rows[place][name] for name in COMPARISON): place for place in nones}
    pairs: dict[tuple[int, int], str] = {}
    for place, row in enumerate(rows):
        reference = of_comparison.get(tuple(row[name] for name in COMPARISON), place)
        if reference != place:
            pairs[place, reference] = NONE
        if row["model"] != rows[nones[0]]["model"] and _is_classification(row["task"]):
            pairs[place, nones[0]] = BASELINE
    intervals = [Interval.of_row(row) if whole.get(_key(row)) == row["n"] else MISSING_INTERVAL for row in rows]
    tests = compare_pairs(intervals, list(pairs))
    for (place, reference), found in tests.items():
        row, other = rows[place], rows[reference]
        yield {
            **{name: row[name] for name in (*LABELS, "n", "mean")},
            **{f"reference_{name}": other[name] for name in ("model", "loss", "setting", "n", "mean")},
            "against": pairs[place, reference],
            "difference": row["mean"] - other["mean"],
            "g": found.size,
            "p": found.p,
            "p_holm": found.corrected,
            "tests": found.family,
        }
