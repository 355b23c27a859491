"""How many steps, and how many seconds, each method takes to a given quality; what never came so far is counted."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.best import Lookup
from lipschitz.report.statistics.targets import Target, better, default_target
from lipschitz.report.statistics.time_to_event import Spell, spell
from lipschitz.report.tables.number_format import MISSING, show, show_interval
from lipschitz.report.tables.table import Cell, Column
from lipschitz.report.wording import wording
from lipschitz.sweep.timing.timing_files import iteration_ms

_OVER = "To the target"
_COLUMNS = [Column("Reached it"), Column("Diverged"), Column("steps ↓", _OVER), Column("seconds ↓", _OVER)]
_CAPTION = (
    "Steps: the first evaluation at or beyond the target (0: before training).{every} Nothing is known between "
    "evaluations (± 0: all seeds at the same one), and the first crossing of a noisy curve is optimistic. Reached it: "
    "of the seeds that ended; a diverged one has not, whatever it passed before. Mean ± 95 % Student-t interval where "
    "all of them reached it; else of the middle seed, a diverged one being the last of all: the median, by which more "
    "than half had, > what it was trained where it finished without, or that it diverged. Seconds: steps × time of one "
    "step alone on the device (serial timing pass); ± is of the steps alone. Bold: the fewest, of methods whose every "
    "seed reached it; of seconds only where all of those methods were timed."
)
_DEFAULT = (
    " The target is the median over the rows of their mean after the last step, so that about half of them come so "
    "far, rounded to three digits towards the easier side; lipschitz report DIR --reach METRIC=VALUE sets another."
)
_DEVICES = " Timed on different devices: seconds do not compare."


class Part(NamedTuple):
    """A table but for its first columns, which name the configurations."""

    title: str
    columns: list[Column]
    cells: list[list[Cell]]
    caption: str


class Reach:
    """The tables of a sweep that say when a quality was reached.

    Args:
        targets: in the place of the default, wherever one of their metrics was recorded.
    """

    def __init__(self, results: Results, targets: Sequence[Target] = ()) -> None:
        self._results_of, self._targets = results, targets
        self._configurations = results.runs.groupby(LABELS)["configuration"].first().to_dict()
        ended = results.runs[results.runs["status"].isin(["finished", "diverged"])]
        self._ended = {name: rows["status"] for name, rows in ended.groupby("configuration", sort=False)}
        self._traces: dict[str, pd.DataFrame] = {}
        self._measured: dict[str, set[str]] = {}

    def parts(
        self, group: pd.DataFrame, lookup: Lookup, judging: Sequence[str], rivals: Sequence[pd.DataFrame], where: str
    ) -> list[Part]:
        """Return a table a target, which is the default where none was asked for that was recorded here.

        Args:
            group: one row a configuration, with the labels, ``steps`` and ``diverged``.
            lookup: of its summary.
            judging: metrics that judge what was learnt, the first of which has a default.
            rivals: rows of ``group`` of which one may be the best.
            where: what the table is of, for its title.
        """
        found = [target for target in self._targets if lookup.has(target.metric)]
        first = next((name for name in judging if better(name)), None)
        if not found and first is not None:
            default = default_target(first, (lookup(row, first)[0] for _, row in group.iterrows()))
            return [] if default is None else [self._part(group, default, rivals, where, _DEFAULT)]
        return [self._part(group, target, rivals, where, "") for target in found]

    def _part(self, group: pd.DataFrame, target: Target, rivals: Sequence[pd.DataFrame], where: str, said: str) -> Part:
        names = {index: self._configurations[tuple(row[LABELS])] for index, row in group.iterrows()}
        first = self._first(target)
        spells = {index: spell(self._times(name, first, target.metric)) for index, name in names.items()}
        per_step = {index: self._seconds(name, str(group["task"].iloc[0])) for index, name in names.items()}
        devices = {self._results_of.timings[name].get("device") for index, name in names.items() if per_step[index] > 0}
        fewest = _fewest(spells, dict.fromkeys(spells, 1.0), rivals)
        soonest = _fewest(spells, per_step, rivals) if len(devices) == 1 else set()
        cells = []
        for index, row in group.iterrows():
            one, budget = spells[index], int(row["steps"])
            cells.append(
                [
                    Cell(f"{one.reached} of {one.of}"),
                    Cell(str(row["diverged"])),
                    Cell(_steps(one, budget), index in fewest),
                    Cell(_in_seconds(one, budget, per_step[index]), index in soonest),
                ]
            )
        every = self._every(set(names.values()), target.metric)
        caption = _CAPTION.format(every=every) + said + (_DEVICES if len(devices) > 1 else "")
        return Part(f"Steps and seconds to reach {target.said}: {where}", list(_COLUMNS), cells, caption)

    def _trace(self, metric: str) -> pd.DataFrame:
        """Return the records of ``metric``, with the configuration of each."""
        if metric not in self._traces:
            rows = self._results_of.records[self._results_of.records["metric"] == metric]
            self._traces[metric] = self._results_of.labelled(rows, ["configuration"])
            self._measured[metric] = set(rows["run"])
        return self._traces[metric]

    def _first(self, target: Target) -> dict[str, int]:
        """Return the step at which each run first recorded the target or better."""
        trace = self._trace(target.metric)
        there = trace["value"] <= target.value if target.sign == "≤" else trace["value"] >= target.value
        return {str(run): int(step) for run, step in trace[there].groupby("run", sort=False)["step"].min().items()}

    def _times(self, configuration: str, first: dict[str, int], metric: str) -> list[float]:
        """Return the steps of each seed that ended, as `spell` takes them.

        One that finished without this metric says nothing; a diverged one may have none of its values.
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
        """Return the seconds of a step alone on the device, NaN where the timing pass did not measure all of it."""
        timing = self._results_of.timings.get(configuration, {})
        return iteration_ms(timing) / 1000 if timing.keys() >= {"n_dis", *wording(task).timed} else math.nan

    def _every(self, configurations: set[str], metric: str) -> str:
        """Say how many steps lie between evaluations; nothing where there is one."""
        trace = self._trace(metric)
        trace = trace[trace["configuration"].isin(configurations)].drop_duplicates(["configuration", "step"])
        gaps = trace.sort_values("step").groupby("configuration")["step"].diff()
        apart = gaps.groupby(trace["configuration"]).max().dropna().astype(int)
        if apart.empty:
            return ""
        low, high = apart.min(), apart.max()
        return f" Evaluations are {high if low == high else f'{low} to {high}'} steps apart."


def _fewest(
    spells: Mapping[object, Spell], each: Mapping[object, float], rivals: Sequence[pd.DataFrame]
) -> set[object]:
    """Return the rows with the smallest mean of their rivals, steps times what ``each`` of them costs.

    None where only one has a mean, and none where what a step costs is not known (NaN) of all that have one.
    """
    found: set[object] = set()
    for rows in rivals:
        costs = {index: spells[index].mean * each[index] for index in rows.index if math.isfinite(spells[index].mean)}
        if len(costs) > 1 and all(map(math.isfinite, costs.values())):
            found |= {index for index, cost in costs.items() if cost == min(costs.values())}
    return found


def _steps(one: Spell, budget: int) -> str:
    if not one.of:
        return MISSING
    if one.reached < one.of:
        return _middle(one, f"{one.median:.0f}", f"{budget}")
    if one.ci95 > 0:
        return show_interval(one.mean, one.ci95)
    # Every seed at one evaluation: a step that was evaluated, and no rounded one.
    return f"{one.mean:.0f}" + (" ± 0" if one.ci95 == 0 else "")


def _in_seconds(one: Spell, budget: int, per_step: float) -> str:
    if not one.of:
        return MISSING
    if math.isnan(per_step):
        return "not measured"
    if one.reached < one.of:
        return _middle(one, show(one.median * per_step), show(budget * per_step))
    # Equal steps leave a time its own uncertainty, which is not known here.
    return show_interval(one.mean * per_step, one.ci95 * per_step or math.nan)


def _middle(one: Spell, median: str, trained: str) -> str:
    """Say where the middle seed was when not all of them came."""
    if math.isnan(one.median):
        return "diverged"
    return f"median {median}" if math.isfinite(one.median) else f"> {trained}"
