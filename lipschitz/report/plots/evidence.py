"""What the figures of one comparison are drawn from: aggregated over seeds before anything is drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.report.reading.comparisons import COMPARISON, Comparison, comparisons, file_suffixes
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.intervals import aggregate
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import Style, ordered, styles
from lipschitz.report.wording import wording


@dataclass(frozen=True)
class Pictures:
    """The arrays that one run left, and which run it was."""

    constraint: str
    seed: int
    status: str
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Evidence:
    """One comparison.

    Attributes:
        curves: constraint, metric, step, n, mean, ci95, over the seeds that finished.
        broken: run, constraint, metric, step, value of the runs that diverged, as long as they were finite.
        runs: the rows of the sweep's runs.
        floors: what each metric says of real data, or of an optimal potential.
        quality: metrics that judge what was learnt.
        timings: by constraint, what the serial pass measured; only where it measured all parts of a step.
    """

    comparison: Comparison
    slug: str
    curves: pd.DataFrame
    broken: pd.DataFrame
    runs: pd.DataFrame
    floors: dict[str, float]
    quality: list[str]
    timings: dict[str, dict[str, Any]]
    styles: dict[str, Style]
    results: Results

    @cached_property
    def title(self) -> str:
        """The line that heads everything drawn of the comparison."""
        return self.comparison.title(self.results.shown)

    @cached_property
    def final(self) -> pd.DataFrame:
        """The rows of the curves after each constraint's last step: budgets may differ."""
        last = self.curves.groupby("constraint", sort=False)["step"].transform("max")
        return self.curves[self.curves["step"] == last]

    @cached_property
    def constraints(self) -> list[str]:
        """Every constraint of the comparison, in the fixed order."""
        return ordered(self.runs["constraint"])

    @cached_property
    def metrics(self) -> list[str]:
        """Every recorded metric, in the order of the records."""
        return list(dict.fromkeys([*self.curves["metric"], *self.broken["metric"]]))

    @cached_property
    def names(self) -> dict[str, str]:
        """By constraint, its label with the number of seeds behind it."""
        return {name: f"{name}  ({self._seeds(name)})" for name in self.constraints}

    def _seeds(self, constraint: str) -> str:
        status = self.runs.loc[self.runs["constraint"] == constraint, "status"]
        finished, diverged = int((status == "finished").sum()), int((status == "diverged").sum())
        return f"n = {finished}" + (f", {diverged} diverged" if diverged else "")

    @cached_property
    def pictures(self) -> list[Pictures]:
        """The arrays of one run a constraint: its first seed that finished, or else its first that diverged."""
        return list(self._pictures())

    def _pictures(self) -> Iterator[Pictures]:
        for constraint in self.constraints:
            found = pictures_of(self.results, self.runs[self.runs["constraint"] == constraint])
            if found is not None:
                yield found


def pictures_of(results: Results, runs: pd.DataFrame) -> Pictures | None:
    """Return the arrays of the first seed of ``runs`` that finished, or else of the first that diverged."""
    ended = runs[runs["status"].isin(["finished", "diverged"])]
    ended = ended.sort_values(["status", "seed"], ascending=[False, True])
    for run_id, row in ended.iterrows():
        if arrays := results.folder.run(str(run_id)).samples():
            return Pictures(str(row["constraint"]), int(row["seed"]), str(row["status"]), arrays)
    return None


def gather(summary: Summary) -> list[Evidence]:
    """Return the evidence of every comparison of the sweep, in the order of its plan."""
    results, columns = summary.results, [*COMPARISON, "constraint"]
    records = results.labelled(results.records, [*columns, "status"])
    curves = aggregate(records[records["status"] == "finished"], [*columns, "metric", "step"])
    broken = records[(records["status"] == "diverged") & np.isfinite(records["value"])]
    looks = styles(results.runs["constraint"])
    found = comparisons(results.runs)
    suffixes = file_suffixes(found, COMPARISON, results.shown)
    by_curves, by_broken, by_runs = (
        dict(list(frame.groupby(COMPARISON, sort=False))) for frame in (curves, broken, results.runs)
    )
    return [
        Evidence(
            comparison,
            suffix,
            by_curves.get(tuple(comparison), curves.iloc[:0]),
            by_broken.get(tuple(comparison), broken.iloc[:0]),
            runs := by_runs[tuple(comparison)],
            summary.floors_of(comparison.task, comparison.dataset),
            summary.quality_metrics,
            _timings(results, runs),
            looks,
            results,
        )
        for comparison, suffix in zip(found, suffixes, strict=True)
    ]


def _timings(results: Results, runs: pd.DataFrame) -> dict[str, dict[str, Any]]:
    first = runs.drop_duplicates("constraint").set_index("constraint")["configuration"]
    found = {str(name): results.timings.get(key, {}) for name, key in first.items()}
    needed = {"n_dis", *wording(str(runs["task"].iloc[0])).timed}
    return {name: timing for name, timing in found.items() if timing.keys() >= needed}
