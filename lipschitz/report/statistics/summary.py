"""The summary of a sweep, computed once: means over seeds by configuration, quality metrics, floors, the best rows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.metrics.description import Description
from lipschitz.report.reading.comparisons import COMPARISON, LABELS, rows_of
from lipschitz.report.reading.metric_names import base, better
from lipschitz.report.reading.results import Results
from lipschitz.report.reading.timing import TIMES, values_of
from lipschitz.report.statistics.generalization_gap import gaps_at_levels
from lipschitz.report.statistics.intervals import MISSING_INTERVAL, Interval, aggregate, method_of
from lipschitz.report.statistics.significance import best_or_similar
from lipschitz.report.statistics.timings import UNSTEADY, drift, timed_intervals
from lipschitz.report.style import ordered
from lipschitz.tasks.wording import floors as floor_names
from lipschitz.tasks.wording import wording

COLUMNS = [*LABELS, "metric", "which", "n", "mean", "ci95", "diverged", "low", "high", "interval", "note"]
"""Columns of ``summary.csv``."""
RIVALS = ["model", "loss", "setting"]
"""What rows of a table share if one of them may be the best of the others, except where models share a table."""
LARGEST_SIGMA = {"sigma_reshaped": "largest_sigma_reshaped", "sigma_operator": "largest_sigma_operator"}
"""σ by layer, and the name of the largest over the layers of one network."""
CRITIC_W1 = ("w1_dual", "w1_over_lower", "w1_over_upper")
"""W1 by the critic: metrics with a floor that do not judge a method alone, only next to the true W1 and both bounds."""
AS_PUBLISHED = {"cosine": "cosine_float32", "l2": "l2_float32", "w1_dual": "w1_independent"}
"""By metric, its name if measured as the code behind published numbers does; compared only with published numbers."""
_STATUSES = ["finished", "diverged", "failed", "running", "waiting"]


@dataclass(frozen=True)
class Summary:
    """What a sweep reached. Every part is computed when it is first read, and kept."""

    results: Results

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The table of ``summary.csv``: a row for each configuration, metric, and last or best step.

        Columns `COLUMNS`. Mean, low and high, the ends of its interval, and ci95, half of their distance, are over the
        n seeds that finished with a finite value; ``interval`` names the interval, and is empty without one. The mean
        of what `is_geometric` is geometric, and its interval is that of the logarithms. Diverged seeds are counted in
        their own column. The floor (real data against real data, or what a task has for it) is a constraint of its own.
        A time is the median of n calls in the timing pass, which times each configuration once, whatever the number of
        seeds; ``note`` says where its rounds disagree.
        """
        rows = pd.concat([self._measured(), self._timed(), self._floor_rows()], ignore_index=True)
        plan = self.results.runs[COMPARISON].drop_duplicates().reset_index(drop=True)
        plan["comparison"] = plan.index
        order = {name: place for place, name in enumerate([*floor_names(), *ordered(self.results.runs["constraint"])])}
        metrics = [*self.quality_metrics, *self.critic_w1_metrics, *LARGEST_SIGMA.values(), *rows["metric"]]
        places = {name: place for place, name in enumerate(dict.fromkeys(metrics))}
        rows = rows.merge(plan, on=COMPARISON)
        names = {name: method_of(name).name for name in rows["metric"].unique()}
        rows["interval"] = rows["metric"].map(names).where(rows["ci95"].notna(), "")
        rows["note"] = rows["note"].fillna("")
        rows["place"], rows["of_metric"] = rows["constraint"].map(order), rows["metric"].map(places)
        rows = rows.sort_values(["comparison", "place", "of_metric", "which"], ascending=[True, True, True, False])
        return rows[COLUMNS].astype({"n": int, "diverged": int}).reset_index(drop=True)

    @cached_property
    def quality_metrics(self) -> list[str]:
        """The metrics that judge what was learnt, in the catalogue's order: those with a floor, without `CRITIC_W1`."""
        excluded = {*CRITIC_W1, *AS_PUBLISHED.values()}
        return [name for name in self._metrics_with_floor if base(name) not in excluded]

    @cached_property
    def critic_w1_metrics(self) -> list[str]:
        """The metrics of `CRITIC_W1` that were measured, in the catalogue's order."""
        return [name for name in self._metrics_with_floor if base(name) in CRITIC_W1]

    @cached_property
    def _metrics_with_floor(self) -> list[str]:
        known = list(CATALOGUE)
        outcomes = self.results.outcomes
        names = dict.fromkeys(outcomes.loc[outcomes["which"] == "floor", "metric"])
        return sorted(names, key=lambda name: known.index(base(name)) if base(name) in known else len(known))

    @cached_property
    def measured_metrics(self) -> list[Description]:
        """Every metric of the catalogue that was measured or timed, in the catalogue's order."""
        measured = {
            base(name) for frame in (self.results.outcomes, self.results.records) for name in frame["metric"].unique()
        }
        timed = {name for timing in self.results.timings.values() for name in values_of(timing)}
        return [metric for name, metric in CATALOGUE.items() if name in measured | timed]

    @cached_property
    def counts(self) -> pd.DataFrame:
        """How many runs of each configuration (the index: its labels) are in each status, one column a status."""
        table = self.results.runs.groupby([*LABELS, "status"], sort=False).size().unstack(fill_value=0)
        return table.reindex(columns=_STATUSES, fill_value=0)

    @cached_property
    def overview(self) -> dict[str, int]:
        """How many runs of the plan are in each status, including the runs that settings were chosen by."""
        found: Counter[str] = Counter()
        for part in filter(None, (self.results, self.results.tuning)):
            found.update(map(str, part.runs["status"]))
            found["waiting"] += part.waiting
            found["damaged"] += len(part.damaged)
        planned = {"planned": len(self.results.folder.run_ids())}
        return planned | {status: found[status] for status in (*_STATUSES, "damaged") if found[status]}

    @cached_property
    def floors(self) -> pd.DataFrame:
        """What each metric measures of real data, or of an optimal potential: task, dataset, metric, and `aggregate`'s.

        Means are over seeds. Runs with the same seed measure the same floor, so it counts once a seed.
        """
        outcomes = self.results.outcomes
        floor = self.results.labelled(outcomes[outcomes["which"] == "floor"], ["task", "dataset", "seed"])
        by_seed = floor.groupby(["task", "dataset", "metric", "seed"], sort=False)["value"].mean().reset_index()
        return aggregate(by_seed, ["task", "dataset", "metric"])

    def floors_of(self, task: str, dataset: str) -> dict[str, float]:
        """Return by metric the mean of the floor on one data set."""
        rows = rows_of(self.floors, {"task": task, "dataset": dataset})
        return dict(zip(rows["metric"], rows["mean"], strict=True))

    @cached_property
    def true_w1(self) -> dict[str, tuple[float, float]]:
        """By data set, the known W1 of a pair of distributions, and its standard error."""
        protocols = self.results.protocols
        rows = protocols[protocols["metric"].map(base).isin(CRITIC_W1)]
        return {
            str(dataset): (float(facts["w1"]), float(facts["w1_standard_error"]))
            for dataset, facts in zip(rows["dataset"], rows["facts"], strict=True)
            if "w1" in facts
        }

    @cached_property
    def tuning(self) -> "Summary | None":
        """The summary of the runs that settings were chosen by; None where there are none."""
        return None if self.results.tuning is None else Summary(self.results.tuning)

    def lookup(self, labels: Mapping[str, str]) -> "Lookup":
        """Return the summary of the configurations with these labels, for the tables of one section."""
        return Lookup(rows_of(self.frame, labels), self.results)

    def _measured(self) -> pd.DataFrame:
        outcomes = self.results.outcomes[self.results.outcomes["which"] != "floor"]
        derived = [_largest_sigma(outcomes), gaps_at_levels(self.results.records)]
        outcomes = self.results.labelled(pd.concat([outcomes, *derived]), [*LABELS, "status"])
        means = aggregate(outcomes[outcomes["status"] == "finished"], [*LABELS, "metric", "which"])
        measured = outcomes[[*COMPARISON, "metric", "which"]].drop_duplicates()
        ended = self.counts.reset_index()
        ended = ended[ended["finished"] + ended["diverged"] > 0][[*LABELS, "diverged"]]
        rows = ended.merge(measured, on=COMPARISON).merge(means, on=[*LABELS, "metric", "which"], how="left")
        return rows.fillna({"n": 0})

    def _timed(self) -> pd.DataFrame:
        diverged = self.counts["diverged"].reset_index()
        configurations = self.results.runs[["configuration", *LABELS]].drop_duplicates().merge(diverged, on=LABELS)
        rows = []
        for row in configurations.to_dict("records"):
            timing = self.results.timings.get(row.pop("configuration"), {})
            for metric, found in timed_intervals(timing).items():
                differ = drift(timing, metric)
                values = {"metric": metric, "which": "last", "n": found.n, "mean": found.mean}
                values |= {"low": found.low, "high": found.high, "ci95": found.half_width}
                values |= {"note": f"{UNSTEADY}: rounds differ by {differ:.0%}" if differ else None}
                rows.append(row | values)
        return pd.DataFrame(rows, columns=COLUMNS)

    def _floor_rows(self) -> pd.DataFrame:
        plan = self.results.runs[COMPARISON].drop_duplicates()
        names = plan["task"].map(lambda task: wording(task).floor)
        rows = plan.assign(constraint=names).merge(self.floors, on=["task", "dataset"])
        return rows.assign(which="last", diverged=0)


class Lookup:
    """The summary of the configurations of one section of tables: intervals, timings, and which rows are the best."""

    def __init__(self, frame: pd.DataFrame, results: Results) -> None:
        keys = frame[[*RIVALS, "constraint", "metric", "which"]].itertuples(index=False, name=None)
        self._intervals = dict(zip(keys, map(Interval.of_row, frame.to_dict("records")), strict=True))
        self.metrics = list(dict.fromkeys(frame["metric"]))
        """Every metric that was measured of any configuration."""
        self._results = results

    def has(self, metric: str) -> bool:
        """Return whether ``metric`` was measured of any configuration."""
        return metric in self.metrics

    def interval(self, row: "pd.Series[Any]", metric: str, which: str = "last") -> Interval:
        """Return the mean and interval of the configuration that ``row`` names; `MISSING_INTERVAL` if not measured."""
        key = (*(row[name] for name in RIVALS), row["constraint"], metric, which)
        return self._intervals.get(key, MISSING_INTERVAL)

    def floor(self, name: str, metric: str) -> Interval | None:
        """Return the floor of ``metric``, ``name`` being what the task calls it; None if it was not measured."""
        return next((found for key, found in self._intervals.items() if key[3:5] == (name, metric)), None)

    def timing(self, row: "pd.Series[Any]") -> Mapping[str, Any]:
        """Return the timing of the configuration that ``row`` names; empty if it was not timed."""
        return self._results.timings.get(self._configuration(row), {})

    def measurement(self, row: "pd.Series[Any]") -> Mapping[str, Any]:
        """Return what the measurements of the configuration that ``row`` names take for granted."""
        return self._results.measurement.get(self._configuration(row), {})

    def _configuration(self, row: "pd.Series[Any]") -> str:
        return self._results.configurations.get(tuple(row[name] for name in LABELS), "")

    def best(self, rows: pd.DataFrame, metric: str, which: str) -> set[object]:
        """Return the index of the row with the best mean, and of those that are not significantly worse.

        Rows with a diverged or failed seed, or with one seed, are neither tested nor returned. It is empty if neither
        direction of the metric is good, if fewer than two rows can be tested, and for a time, which is not of seeds.
        """
        direction, rows = better(metric), rows[rows["diverged"] + rows["failed"] == 0]
        if direction is None or metric in TIMES:
            return set()
        intervals = [self.interval(row, metric, which) for _, row in rows.iterrows()]
        return {rows.index[place] for place in best_or_similar(intervals, direction == "lower")}


def _largest_sigma(outcomes: pd.DataFrame) -> pd.DataFrame:
    names = outcomes["metric"].map(base)
    of_layers = outcomes[names.isin(LARGEST_SIGMA)].assign(metric=names.map(LARGEST_SIGMA))
    return of_layers.groupby(["run", "which", "metric"], sort=False)["value"].max().reset_index()
