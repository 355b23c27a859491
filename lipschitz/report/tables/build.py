"""The tables: what each method reached, and what its constraint did to the network at what cost."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from lipschitz.report.reading.comparisons import LABELS, rows_of
from lipschitz.report.reading.protocols import base
from lipschitz.report.reading.results import Results
from lipschitz.report.reading.titles import heading
from lipschitz.report.reading.tuning import PICKED
from lipschitz.report.statistics.best import RIVALS, Lookup
from lipschitz.report.statistics.summary import counts, metrics_beside, quality_metrics, true_w1
from lipschitz.report.statistics.targets import Target
from lipschitz.report.style import ordered
from lipschitz.report.tables.cost import ASIDE, cost_columns, cost_notes
from lipschitz.report.tables.number_format import MISSING, show, show_interval
from lipschitz.report.tables.table import Cell, Column, Table
from lipschitz.report.tables.time_to_target import Reach
from lipschitz.report.wording import wording

_VARYING = {
    "model": "Model",
    "loss": "Loss",
    "setting": "Setting",
    PICKED: "Chosen setting",
    "steps": "Steps",
    "batch_size": "Batch",
}
_Part = tuple[list[Column], list[list[Cell]]]


def build(results: Results, summary: pd.DataFrame, targets: Sequence[Target] = ()) -> list[Table]:
    """Return the tables of each (task, data set, model): an overview, quality, what D became at what cost, and reach.

    The last say when each of ``targets`` was reached that was recorded there, or else what about half of the methods
    reach. Where each data set has one true answer, a table holds all models; a distance that a critic estimates has a
    table of its own.
    """
    configurations = _configurations(results)
    shared_tables = configurations["task"].map(lambda task: wording(task).shares_tables)
    configurations["section"] = configurations["model"].mask(shared_tables, "")
    tables, true, reach = [], true_w1(results), Reach(results, targets)
    for key, group in configurations.groupby(["task", "dataset", "section"], sort=False):
        task, dataset, model = map(str, key)
        there = {name: head for name, head in _VARYING.items() if name != "model" or not model}
        varying = {name: head for name, head in there.items() if group[name].nunique() > 1}
        shared = ", ".join(
            f"{head.lower()} {results.shown(str(group[name].iloc[0]))}"
            for name, head in there.items()
            if name not in varying and group[name].iloc[0]
        )
        where = ", ".join(filter(None, [results.shown(dataset), model])) + (f" ({shared})" if shared else "")
        labels = {"task": task, "dataset": dataset} | ({"model": model} if model else {})
        lookup = Lookup(rows_of(summary, labels), results)
        judging = [name for name in quality_metrics(results) if lookup.has(name)]
        quality, cost = _quality(group, lookup, judging), cost_columns(group, lookup)
        notes, of_cost = _notes(group), cost_notes(group, lookup, results.shown)
        floor = partial(_floor, group, lookup, len(varying))
        parts = [
            (f"Overview: {where}", _overview(quality, cost), [], of_cost.step),
            (f"Quality: {where}", quality, floor(judging, ["last", "best"]) if judging else [], []),
        ]
        if beside := [name for name in metrics_beside(results) if lookup.has(name)]:
            known = f", true W1 {show(true[dataset][0])}" if dataset in true else ""
            title = f"W1 by the critic after the last step{known}: {where}"
            parts.append((title, _distance(group, lookup, beside), floor(beside, ["last"]), []))
        parts.append((f"Constraint and cost: {where}", cost, [], [*of_cost.step, *of_cost.aside]))
        heads = [Column("Constraint", numeric=False), *(Column(head, numeric=False) for head in varying.values())]
        rows = [
            [Cell(results.shown(str(row[name]))) for name in ["constraint", *varying]]
            for row in group.to_dict("records")
        ]
        for title, (columns, cells), last, said in parts:
            body = [left + right for left, right in zip(rows, cells, strict=True)]
            tables.append(Table(task, dataset, model, title, heads + columns, [*body, *last], [*notes, *said]))
        for part in reach.parts(group, lookup, judging, _rivals(group), where):
            body = [left + right for left, right in zip(rows, part.cells, strict=True)]
            tables.append(Table(task, dataset, model, part.title, heads + part.columns, body, notes, part.caption))
    return tables


def _configurations(results: Results) -> pd.DataFrame:
    """One row a configuration, in the plan's order of comparisons and the fixed order of constraints."""
    # Joined by label: unstacking the counts has sorted them.
    runs = results.runs.assign(
        budget=results.runs["configuration"].map(lambda name: _seconds(results.definitions[name]))
    )
    runs["budget"] = runs["budget"].fillna(runs["steps"].map(str))
    said = runs.groupby(LABELS).agg({"steps": "max", "batch_size": "max", "budget": "first", PICKED: "first"})
    table = counts(results).join(said).reset_index()
    place = {name: index for index, name in enumerate(ordered(table["constraint"]))}
    columns = ["task", "dataset", "model", "loss", "setting"]
    table["comparison"] = table.groupby(columns, sort=False).ngroup()
    table["place"] = table["constraint"].map(place)
    return table.sort_values(["comparison", "place"]).drop(columns=["comparison", "place"])


def _quality(group: pd.DataFrame, lookup: Lookup, metrics: list[str]) -> _Part:
    return _measured(group, lookup, metrics, ["last", "best"])


def _distance(group: pd.DataFrame, lookup: Lookup, metrics: list[str]) -> _Part:
    """Return the critics' W1 after the last step, as it is and over either bound on Lip(D)."""
    columns, cells = _measured(group, lookup, metrics, ["last"])
    bound = "over the {} bound on Lip(D)"
    heads = {
        "w1_dual": "as it is",
        "w1_over_lower": bound.format("lower"),
        "w1_over_upper": bound.format("upper") + " ↑",
    }
    said = [Column(heads[base(name)] + name.removeprefix(base(name)), "W1 by the critic") for name in metrics]
    return [*columns[:2], *said], cells


def _measured(group: pd.DataFrame, lookup: Lookup, metrics: list[str], whichs: list[str]) -> _Part:
    columns = [Column("n"), Column("Diverged")]
    columns += [Column(which, heading(metric)) for metric in metrics for which in whichs]
    leaders = {
        (metric, which): {index for rows in _rivals(group) for index in lookup.leaders(rows, metric, which)}
        for metric in metrics
        for which in whichs
    }
    cells = []
    for index, row in group.iterrows():
        line = [Cell(str(row["finished"])), Cell(str(row["diverged"]))]
        for metric in metrics:
            for which in whichs:
                mean, ci95, n = lookup(row, metric, which)
                text = show_interval(mean, ci95) + (f" (n = {n})" if 0 < n < row["finished"] else "")
                line.append(Cell(text, index in leaders[metric, which]))
        cells.append(line)
    return columns, cells


def _rivals(group: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the sets of rows of which one may be the best: critics of any network, but all of one budget."""
    if not wording(str(group["task"].iloc[0])).shares_tables:
        return [rows for _, rows in group.groupby(RIVALS, sort=False)]
    shared = [rows for _, rows in group.groupby(["loss", "setting"], sort=False)]
    return [rows for rows in shared if rows["budget"].nunique() == rows["batch_size"].nunique() == 1]


def _overview(quality: _Part, cost: _Part) -> _Part:
    """Return n, diverged and the first metric after the last step, and of the cost that of a step."""
    shown = [place for place, column in enumerate(cost[0]) if column.over not in ASIDE]
    columns = [*quality[0][:3], *(cost[0][place] for place in shown)]
    cells = zip(quality[1], cost[1], strict=True)
    return columns, [[*left[:3], *(right[place] for place in shown)] for left, right in cells]


def _floor(
    group: pd.DataFrame, lookup: Lookup, varying: int, metrics: list[str], whichs: list[str]
) -> list[list[Cell]]:
    """Return the row of real data, or of an optimal potential: it was never trained, so it has no best step."""
    name = wording(str(group["task"].iloc[0])).floor
    found = [lookup.of(name, metric) for metric in metrics]
    seeds = max((one[2] for one in found if one), default=0)
    said = [Cell(show_interval(*one[:2]) if one else MISSING) for one in found]
    values = [cell for one in said for cell in [one, *[Cell("")] * (len(whichs) - 1)]]
    return [[Cell(name), *[Cell("")] * varying, Cell(str(seeds)), Cell(""), *values]]


def _seconds(definition: dict[str, Any]) -> str | None:
    """Return the seconds that a run was given, None where it was given steps."""
    seconds = definition.get("training", {}).get("seconds")
    return None if seconds is None else f"{seconds} s"


def _notes(group: pd.DataFrame) -> list[str]:
    left_out = {status: int(group[status].sum()) for status in ("failed", "running", "waiting")}
    said = ", ".join(f"{number} {status}" for status, number in left_out.items() if number)
    notes = [f"Not in these numbers, because they did not end: {said}."] if said else []
    if wording(str(group["task"].iloc[0])).shares_tables:
        notes.append("Nothing is bold where budgets differ.")
    return notes
