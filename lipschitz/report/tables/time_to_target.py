"""Table of the steps and seconds that each method takes to reach a target quality, right-censored at its budget."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from lipschitz.report.number_format import MISSING, show
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.metric_names import better
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.intervals import MEAN, Interval
from lipschitz.report.statistics.significance import BOLD, best_or_similar
from lipschitz.report.statistics.summary import Lookup
from lipschitz.report.statistics.time_to_target import Target, TimeToEvent, default_target, time_to_event
from lipschitz.report.statistics.timings import UNSTEADY, is_unsteady
from lipschitz.report.tables.table import Cell, Column
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.tasks.wording import wording

_OVER = "To the target"
_COLUMNS = [Column("Reached it"), Column("Diverged"), Column("steps ↓", _OVER), Column("seconds ↓", _OVER)]
_CAPTION = (
    "Steps: the first evaluation at or beyond the target (0: before training).{spacing} What happens between "
    "evaluations is not known (± 0: all seeds at the same one), and the first crossing of a noisy curve is optimistic. "
    "Reached it: of the seeds that ended; a diverged seed has not reached the target, even if it passed it before. If "
    f"all seeds reached it: mean ± {MEAN.name}. Otherwise the middle seed is shown, with diverged seeds ordered last: "
    "median t, if it reached the target after t (then more than half did); > t, if its training ended after t "
    "without reaching the target; or diverged. Seconds: steps × time of one step alone on the device (serial timing "
    "pass); their ± covers the steps alone. Bold, among methods of which every seed reached the target: "
    f"{BOLD.format(what='mean')}; seconds are bold only if all of these methods were timed, and steadily."
)
_DEFAULT_TARGET = (
    " The target is the median over the rows of their mean after the last step, so that about half of them reach it, "
    "rounded to three digits towards the easier side. Where an untrained network reaches it, it is the median over the "
    "rows that end better than every untrained network; lipschitz report DIR --reach METRIC=VALUE sets another."
)
_SEVERAL_DEVICES = " The rows were timed on different devices: their seconds cannot be compared."


class Part(NamedTuple):
    """A table without its first columns, which name the configurations."""

    title: str
    columns: list[Column]
    cells: list[list[Cell]]
    caption: str


class TimeToTarget:
    """The tables of a sweep that show when target qualities were reached.

    Args:
        results: of the sweep.
        targets: they replace the default target in each table of which a metric was recorded.
    """

    def __init__(self, results: Results, targets: Sequence[Target] = ()) -> None:
        self._results, self._targets = results, targets
        ended = results.runs[results.runs["status"].isin(["finished", "diverged"])]
        self._ended = {name: rows["status"] for name, rows in ended.groupby("configuration", sort=False)}
        self._traces: dict[str, pd.DataFrame] = {}
        self._measured: dict[str, set[str]] = {}

    def parts(
        self, group: pd.DataFrame, lookup: Lookup, judging: Sequence[str], rivals: Sequence[pd.DataFrame], where: str
    ) -> list[Part]:
        """Return a table for each target; for the default target if none was given whose metric was recorded.

        Args:
            group: one row a configuration, with the labels, ``steps`` and ``diverged``.
            lookup: its summary.
            judging: metrics that judge what was learnt; the first has a default target.
            rivals: rows of ``group`` that are compared with each other for the best.
            where: data set and model, for the title.
        """
        targets = [target for target in self._targets if lookup.has(target.metric)]
        first = next((name for name in judging if better(name)), None)
        if not targets and first is not None:
            means = [lookup.interval(row, first).mean for _, row in group.iterrows()]
            default = default_target(first, means, self._untrained(group, first))
            return [] if default is None else [self._part(group, lookup, default, rivals, where, _DEFAULT_TARGET)]
        return [self._part(group, lookup, target, rivals, where, "") for target in targets]

    def _part(
        self,
        group: pd.DataFrame,
        lookup: Lookup,
        target: Target,
        rivals: Sequence[pd.DataFrame],
        where: str,
        source: str,
    ) -> Part:
        names = {
            index: self._results.configurations[tuple(row[name] for name in LABELS)] for index, row in group.iterrows()
        }
        first = self._first_steps(target)
        times = {index: time_to_event(self._times(name, first, target.metric)) for index, name in names.items()}
        per_step = {index: self._seconds(name, str(group["task"].iloc[0])) for index, name in names.items()}
        devices = {self._results.timings[name].get("device") for index, name in names.items() if per_step[index] > 0}
        fewest_steps = _fewest(times, dict.fromkeys(times, 1.0), rivals)
        unsteady = [
            self._results.shown(str(row["constraint"]))
            for index, row in group.iterrows()
            if is_unsteady(lookup.timing(row))
        ]
        fewest_seconds = _fewest(times, per_step, rivals) if len(devices) == 1 and not unsteady else set()
        cells = []
        for index, row in group.iterrows():
            time, budget = times[index], int(row["steps"])
            cells.append(
                [
                    Cell(f"{time.reached} of {time.of}"),
                    Cell(str(row["diverged"])),
                    Cell(_steps_text(time, budget), index in fewest_steps),
                    Cell(_seconds_text(time, budget, per_step[index]), index in fewest_seconds),
                ]
            )
        spacing = self._spacing(set(names.values()), target.metric)
        caption = _CAPTION.format(spacing=spacing) + source + (_SEVERAL_DEVICES if len(devices) > 1 else "")
        caption += (
            f" {UNSTEADY.capitalize()}, so that seconds are not compared: {', '.join(unsteady)}." if unsteady else ""
        )
        return Part(f"Steps and seconds to reach {target.title}: {where}", list(_COLUMNS), cells, caption)

    def _trace(self, metric: str) -> pd.DataFrame:
        """Return the records of ``metric``, with the configuration of each."""
        if metric not in self._traces:
            rows = self._results.records[self._results.records["metric"] == metric]
            self._traces[metric] = self._results.labelled(rows, ["configuration"])
            self._measured[metric] = set(rows["run"])
        return self._traces[metric]

    def _first_steps(self, target: Target) -> dict[str, int]:
        """Return by run the step at which it first recorded the target or better."""
        trace = self._trace(target.metric)
        reached = trace["value"] <= target.value if target.sign == "≤" else trace["value"] >= target.value
        return {str(run): int(step) for run, step in trace[reached].groupby("run", sort=False)["step"].min().items()}

    def _untrained(self, group: pd.DataFrame, metric: str) -> list[float]:
        """Return the values of ``metric`` before training, of all runs of ``group``."""
        names = {self._results.configurations[tuple(row[name] for name in LABELS)] for _, row in group.iterrows()}
        trace = self._trace(metric)
        return list(trace.loc[(trace["step"] == 0) & trace["configuration"].isin(names), "value"])

    def _times(self, configuration: str, first: dict[str, int], metric: str) -> list[float]:
        """Return the steps of each seed that ended, as `time_to_event` takes them.

        A seed that finished without recording the metric is not counted; a diverged one may have none of its values.
        """
        status = self._ended.get(configuration)
        if status is None:
            return []
        self._trace(metric)
        return [
            float(first.get(run, math.inf)) if how == "finished" else math.nan
            for run, how in zip(map(str, status.index), status, strict=True)
            if how == "diverged" or run in self._measured[metric]
        ]

    def _seconds(self, configuration: str, task: str) -> float:
        """Return the seconds of a step alone on the device, NaN if the timing pass did not measure all of its parts."""
        timing = self._results.timings.get(configuration, {})
        return iteration_ms(timing) / 1000 if timing.keys() >= {"n_dis", *wording(task).timed} else math.nan

    def _spacing(self, configurations: set[str], metric: str) -> str:
        """Return a sentence on how many steps lie between evaluations; empty if there is only one evaluation."""
        trace = self._trace(metric)
        trace = trace[trace["configuration"].isin(configurations)].drop_duplicates(["configuration", "step"])
        gaps = trace.sort_values("step").groupby("configuration")["step"].diff()
        largest = gaps.groupby(trace["configuration"]).max().dropna().astype(int)
        if largest.empty:
            return ""
        low, high = largest.min(), largest.max()
        return f" Evaluations are {high if low == high else f'{low} to {high}'} steps apart."


def _fewest(
    times: Mapping[object, TimeToEvent], unit: Mapping[object, float], rivals: Sequence[pd.DataFrame]
) -> set[object]:
    """Return the rows with the smallest mean among their rivals, in ``unit`` for each step, or not significantly more.

    A row with a diverged or failed seed is not compared. It is empty if only one has a mean, or if the unit of one that
    has a mean is not known (NaN).
    """
    found: set[object] = set()
    for rows in rivals:
        known = rows.index[rows["diverged"] + rows["failed"] == 0]
        steps = {index: times[index].interval for index in known if math.isfinite(times[index].interval.mean)}
        costs = [_scaled(interval, unit[index]) for index, interval in steps.items()]
        if all(math.isfinite(cost.mean) for cost in costs):
            found |= {list(steps)[place] for place in best_or_similar(costs, lower_is_better=True)}
    return found


def _scaled(steps: Interval, unit: float) -> Interval:
    return Interval.around(steps.mean * unit, steps.half_width * unit, steps.n)


def _steps_text(time: TimeToEvent, budget: int) -> str:
    if not time.of:
        return MISSING
    if time.reached < time.of:
        return _middle_seed(time, f"{time.median:.0f}", f"{budget}")
    if time.interval.half_width > 0:
        return time.interval.text
    # All seeds at one evaluation: the exact step, which no digits are cut from.
    return f"{time.interval.mean:.0f}" + (" ± 0" if time.interval.half_width == 0 else "")


def _seconds_text(time: TimeToEvent, budget: int, per_step: float) -> str:
    if not time.of:
        return MISSING
    if math.isnan(per_step):
        return "not measured"
    if time.reached < time.of:
        return _middle_seed(time, show(time.median * per_step), show(budget * per_step))
    steps = time.interval
    # Equal steps do not make seconds exact: the uncertainty of the timing remains, and is not known here.
    return Interval.around(steps.mean * per_step, steps.half_width * per_step or math.nan, steps.n).text


def _middle_seed(time: TimeToEvent, median: str, trained: str) -> str:
    """Return the text of the middle seed where not all seeds reached the target."""
    if math.isnan(time.median):
        return "diverged"
    return f"median {median}" if math.isfinite(time.median) else f"> {trained}"
