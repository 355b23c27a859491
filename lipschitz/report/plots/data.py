"""Prepare what figures are drawn from: curves averaged over seeds, timings and saved arrays of each comparison."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.report.published.critics import CriticFamily, families
from lipschitz.report.reading.comparisons import COMPARISON, Comparison, comparisons, file_suffixes
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.average_rank import AverageRanks, average_ranks
from lipschitz.report.statistics.final_quality import FinalQuality, final_quality
from lipschitz.report.statistics.geometric import IN_WORDS
from lipschitz.report.statistics.intervals import aggregate
from lipschitz.report.statistics.robustness import Settings, settings_of
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import Style, ordered, styles
from lipschitz.tasks.wording import wording

_NOTE_WIDTH = 100
"""Characters in a line of a note."""


@dataclass(frozen=True)
class RunArrays:
    """The arrays that one run saved (``samples.npz``), with the run's constraint, seed and status."""

    constraint: str
    seed: int
    status: str
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ComparisonData:
    """One comparison: runs that differ only in the constraint and the seed.

    Attributes:
        curves: constraint, metric, step, n, mean, low, high, over the seeds that finished.
        diverged: run, constraint, metric, step, value of the runs that diverged, as long as they were finite.
        runs: the rows of the sweep's runs.
        floors: by metric, its value for real data, or for an optimal potential.
        quality: metrics that judge what was learnt.
        timings: by constraint, what the serial timing pass measured; only where it measured all parts of a step.
    """

    comparison: Comparison
    slug: str
    curves: pd.DataFrame
    diverged: pd.DataFrame
    runs: pd.DataFrame
    floors: dict[str, float]
    quality: list[str]
    timings: dict[str, dict[str, Any]]
    styles: dict[str, Style]
    results: Results

    @cached_property
    def title(self) -> str:
        """The title of the comparison: data set, model, loss and setting."""
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
        return list(dict.fromkeys([*self.curves["metric"], *self.diverged["metric"]]))

    @cached_property
    def labels(self) -> dict[str, str]:
        """By constraint, what people read, with the number of its seeds where this is not that of most."""
        usual, shown = self._usual_seeds, self.results.shown
        return {
            name: shown(name) if self._seeds[name] == usual else f"{shown(name)}  ({self._seeds[name]})"
            for name in self.constraints
        }

    @cached_property
    def has_one_seed(self) -> bool:
        """Whether every constraint has one seed, so that there are neither means nor intervals."""
        return set(self._seeds.values()) == {"n = 1"}

    def mean_over_seeds(self, kind: str = "mean") -> str:
        """Return what is shown, such as ``mean over 5 seeds``; labels name the number of seeds where it is another."""
        if self.has_one_seed:
            return "one seed"
        number = self._usual_seeds.removeprefix("n = ")
        unless = " unless named" if len(set(self._seeds.values())) > 1 else ""
        return f"{kind} over {number} seed{'' if number == '1' else 's'}{unless}"

    @cached_property
    def means_text(self) -> str:
        """What a mean is, where a figure may show both kinds: of how many seeds, and when it is geometric."""
        return self.mean_over_seeds() + ("" if self.has_one_seed else f" (geometric for {IN_WORDS})")

    @cached_property
    def _usual_seeds(self) -> str:
        counts = Counter(self._seeds.values())
        whole = {text: number for text, number in counts.items() if "diverged" not in text} or {"n = 0": 0}
        return max(whole, key=lambda text: whole[text])

    @cached_property
    def _seeds(self) -> dict[str, str]:
        """By constraint, how many of its seeds finished and diverged, in words."""
        counts = self.runs.groupby(["constraint", "status"]).size().unstack(fill_value=0)
        counts = counts.reindex(columns=["finished", "diverged"], fill_value=0)
        return {
            str(name): f"n = {finished}" + (f", {diverged} diverged" if diverged else "")
            for name, finished, diverged in counts.itertuples()
        }

    @cached_property
    def run_arrays(self) -> list[RunArrays]:
        """The arrays of one run a constraint: its first seed that finished, or else its first that diverged."""
        found = (arrays_of(self.results, self.runs[self.runs["constraint"] == name]) for name in self.constraints)
        return [one for one in found if one is not None]

    def device_note(self, constraints: Iterable[str]) -> str:
        """Return a line that names the devices of the timed ``constraints``; empty where all share one device."""
        timed: dict[str, list[str]] = {}
        for name in constraints:
            if name in self.timings:
                timed.setdefault(str(self.timings[name].get("device", "unknown")), []).append(self.results.shown(name))
        if len(timed) < 2:
            return ""
        devices = "; ".join(f"{device} ({', '.join(names)})" for device, names in timed.items())
        return "\n" + fill(f"Timed on different devices, so that seconds are not comparable: {devices}.", _NOTE_WIDTH)


@dataclass(frozen=True)
class SweepData:
    """A whole sweep. Each part is computed when it is first used, and once."""

    summary: Summary

    @cached_property
    def comparisons(self) -> list[ComparisonData]:
        """Every comparison, in the order of the sweep's plan."""
        return comparison_data(self.summary)

    @cached_property
    def families(self) -> list[CriticFamily]:
        """Critics on pairs of distributions that differ in dimension and width; see `Family`."""
        return families(self.summary)

    @cached_property
    def final_quality(self) -> list[FinalQuality]:
        """The final quality on each data set; see `FinalQuality`."""
        return final_quality(self.summary)

    @cached_property
    def average_ranks(self) -> AverageRanks | None:
        """The average ranks of methods over the places of the sweep; None where there are too few."""
        return average_ranks(self.final_quality)

    @cached_property
    def settings(self) -> list[Settings]:
        """Methods that were trained with several settings; see `Settings`."""
        return settings_of(self.summary)


def arrays_of(results: Results, runs: pd.DataFrame) -> RunArrays | None:
    """Return the arrays of the first seed of ``runs`` that finished, or else of the first that diverged."""
    ended = runs[runs["status"].isin(["finished", "diverged"])]
    ended = ended.sort_values(["status", "seed"], ascending=[False, True])
    for run_id, row in ended.iterrows():
        if arrays := results.arrays(str(run_id)):
            return RunArrays(str(row["constraint"]), int(row["seed"]), str(row["status"]), arrays)
    return None


def comparison_data(summary: Summary) -> list[ComparisonData]:
    """Return the data of every comparison of the sweep, in the order of its plan."""
    results, columns = summary.results, [*COMPARISON, "constraint"]
    curves, diverged = _curves(results, columns), _diverged(results, columns)
    found = comparisons(results.runs)
    suffixes = file_suffixes(found, COMPARISON, results.shown)
    style_of = styles(results.runs["constraint"])
    curves_of, diverged_of, runs_of = (
        dict(list(frame.groupby(COMPARISON, sort=False))) for frame in (curves, diverged, results.runs)
    )
    return [
        ComparisonData(
            comparison,
            suffix,
            curves_of.get(tuple(comparison), curves.iloc[:0]),
            diverged_of.get(tuple(comparison), diverged.iloc[:0]),
            runs := runs_of[tuple(comparison)],
            summary.floors_of(comparison.task, comparison.dataset),
            summary.quality_metrics,
            _timings(results, runs),
            style_of,
            results,
        )
        for comparison, suffix in zip(found, suffixes, strict=True)
    ]


def _curves(results: Results, columns: list[str]) -> pd.DataFrame:
    """Return each metric at each step over the seeds that finished: ``columns``, metric, step and those of `aggregate`.

    Records get the number of their group, and only its means the labels: a large sweep has millions of records.
    """
    runs, records = results.runs, results.records
    group_of = runs.groupby(columns, sort=False).ngroup()
    labels = runs[columns].set_axis(group_of).groupby(level=0).first()
    group = records["run"].map(group_of[runs["status"] == "finished"])
    is_finished = group.notna()
    finished = records.loc[is_finished, ["metric", "step", "value"]].assign(group=group[is_finished].astype(int))
    return aggregate(finished, ["group", "metric", "step"]).join(labels, on="group").drop(columns="group")


def _diverged(results: Results, columns: list[str]) -> pd.DataFrame:
    """Return the records of the runs that diverged, as long as they were finite, with ``columns`` of the runs."""
    runs, records = results.runs, results.records
    of_diverged = records["run"].isin(runs.index[runs["status"] == "diverged"])
    return results.labelled(records[of_diverged & np.isfinite(records["value"])], columns)


def _timings(results: Results, runs: pd.DataFrame) -> dict[str, dict[str, Any]]:
    first = runs.drop_duplicates("constraint").set_index("constraint")["configuration"]
    found = {str(name): results.timings.get(key, {}) for name, key in first.items()}
    needed = {"n_dis", *wording(str(runs["task"].iloc[0])).timed}
    return {name: timing for name, timing in found.items() if timing.keys() >= needed}
