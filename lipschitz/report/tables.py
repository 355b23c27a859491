"""The tables: what each method reached, and what its constraint did to the network at what cost."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.comparisons import LABELS, rows_of
from lipschitz.report.digits import MISSING, show, show_interval
from lipschitz.report.protocols import base
from lipschitz.report.records import Sweep
from lipschitz.report.style import REAL, ordered
from lipschitz.report.summary import LARGEST, counts, quality_metrics
from lipschitz.report.titles import heading

CAPTION = (
    "Mean ± 95 % Student-t interval over training seeds; n is the seeds that finished; those that diverged are counted "
    "apart. "
    "Last: after the last step. Best: at the step that one evaluation draw chose, measured on a fresh draw. "
    "Bold: the best mean of its comparison, which need not differ significantly from the next."
)
_VARYING = {"loss": "Loss", "setting": "Setting", "steps": "Steps", "batch_size": "Batch"}


@dataclass(frozen=True)
class Cell:
    """One number or word of a table."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Column:
    """A column's head; neighbours with the same ``over`` share it."""

    head: str
    over: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table as plain cells, ready for any markup; ``notes`` say what is not in it."""

    task: str
    dataset: str
    model: str
    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    notes: list[str]


def build(sweep: Sweep, summary: pd.DataFrame) -> list[Table]:
    """Return three tables for each (task, data set, model): an overview, quality, and what D became at what cost."""
    configurations = _configurations(sweep)
    tables = []
    for key, group in configurations.groupby(["task", "dataset", "model"], sort=False):
        task, dataset, model = map(str, key)
        varying = {name: head for name, head in _VARYING.items() if group[name].nunique() > 1}
        shared = ", ".join(
            f"{head.lower()} {group[name].iloc[0]}" for name, head in _VARYING.items() if name not in varying
        )
        where = f"{dataset}, {model}" + (f" ({shared})" if shared else "")
        lookup = _Lookup(rows_of(summary, {"task": task, "dataset": dataset, "model": model}), sweep)
        of_group = [name for name in quality_metrics(sweep) if lookup.has(name)]
        notes = _notes(group)
        quality, cost = _quality(group, lookup, of_group), _cost(group, lookup)
        for title, columns, cells in (
            (f"Overview: {where}", *_overview(quality, cost)),
            (f"Quality: {where}", *quality),
            (f"Constraint and cost: {where}", *cost),
        ):
            heads = [Column("Constraint", numeric=False), *(Column(head, numeric=False) for head in varying.values())]
            rows = [[Cell(str(row[name])) for name in ["constraint", *varying]] for row in group.to_dict("records")]
            rows = [left + right for left, right in zip(rows, cells, strict=False)]
            if title.startswith("Quality") and of_group:
                rows.append([Cell(REAL), *[Cell("")] * len(varying), *_floor(lookup, of_group)])
            tables.append(Table(task, dataset, model, title, heads + columns, rows, notes))
    return tables


def _configurations(sweep: Sweep) -> pd.DataFrame:
    """One row a configuration, in the plan's order of comparisons and the fixed order of constraints."""
    # Joined by label: unstacking the counts has sorted them.
    table = counts(sweep).join(sweep.runs.groupby(LABELS)[["steps", "batch_size"]].max()).reset_index()
    place = {name: index for index, name in enumerate(ordered(table["constraint"]))}
    columns = ["task", "dataset", "model", "loss", "setting"]
    table["comparison"] = table.groupby(columns, sort=False).ngroup()
    table["place"] = table["constraint"].map(place)
    return table.sort_values(["comparison", "place"]).drop(columns=["comparison", "place"])


class _Lookup:
    """Rows of the summary by what they are asked for."""

    def __init__(self, summary: pd.DataFrame, sweep: Sweep) -> None:
        keys = summary[["loss", "setting", "constraint", "metric", "which"]].itertuples(index=False, name=None)
        values = summary[["mean", "ci95", "n"]].itertuples(index=False, name=None)
        self._rows = dict(zip(keys, values, strict=True))
        self._metrics = set(summary["metric"])
        self.devices = {
            name: str(sweep.timings.get(configuration, {}).get("device", ""))
            for name, configuration in sweep.runs.groupby(LABELS)["configuration"].first().items()
        }

    def has(self, metric: str) -> bool:
        return metric in self._metrics

    def __call__(self, row: pd.Series, metric: str, which: str = "last") -> tuple[float, float, int]:
        key = (row["loss"], row["setting"], row["constraint"], metric, which)
        return self._rows.get(key, (float("nan"), float("nan"), 0))


def _quality(group: pd.DataFrame, lookup: _Lookup, metrics: list[str]) -> tuple[list[Column], list[list[Cell]]]:
    columns = [Column("n"), Column("Diverged")]
    columns += [Column(which, heading(metric)) for metric in metrics for which in ("last", "best")]
    leaders = {
        (loss, setting, metric, which): _leaders(rival_rows, lookup, metric, which)
        for (loss, setting), rival_rows in group.groupby(["loss", "setting"], sort=False)
        for metric in metrics
        for which in ("last", "best")
    }
    cells = []
    for _, row in group.iterrows():
        line = [Cell(str(row["finished"])), Cell(str(row["diverged"]))]
        for metric in metrics:
            for which in ("last", "best"):
                mean, ci95, n = lookup(row, metric, which)
                text = show_interval(mean, ci95) + (f" (n = {n})" if 0 < n < row["finished"] else "")
                line.append(Cell(text, row["constraint"] in leaders[row["loss"], row["setting"], metric, which]))
        cells.append(line)
    return columns, cells


_Part = tuple[list[Column], list[list[Cell]]]


def _overview(quality: _Part, cost: _Part) -> _Part:
    """Return n, diverged and the first metric after the last step, and of the cost all but the memory."""
    columns = [*quality[0][:3], *cost[0][:-1]]
    return columns, [[*left[:3], *right[:-1]] for left, right in zip(quality[1], cost[1], strict=True)]


def _leaders(rows: pd.DataFrame, lookup: _Lookup, metric: str, which: str) -> set[str]:
    """Return the constraint with the best mean of those without a diverged seed; none if the metric judges nothing."""
    known = CATALOGUE.get(base(metric))
    if known is None or known.better is None:
        return set()
    means = {row["constraint"]: lookup(row, metric, which)[0] for _, row in rows.iterrows() if not row["diverged"]}
    means = {name: mean for name, mean in means.items() if math.isfinite(mean)}
    if len(means) < 2:
        return set()
    best = (min if known.better == "lower" else max)(means.values())
    return {name for name, mean in means.items() if mean == best}


def _cost(group: pd.DataFrame, lookup: _Lookup) -> tuple[list[Column], list[list[Cell]]]:
    columns = [
        Column("kernel", "Largest σ of a layer"),
        Column("operator", "Largest σ of a layer"),
        Column("at least", "Lip(D)"),
        Column("at most", "Lip(D)"),
        Column("ms", "Discriminator step"),
        Column("× none", "Discriminator step"),
        Column("MiB", "Peak memory"),
    ]
    measured = [*LARGEST.values(), "lipschitz_lower", "lipschitz_upper"]
    cells = []
    for _, row in group.iterrows():
        plain = row.copy()
        plain["constraint"] = "none"
        milliseconds, reference = (lookup(asked, "ms_discriminator_step")[0] for asked in (row, plain))
        same_device = lookup.devices.get(tuple(row[LABELS])) == lookup.devices.get(tuple(plain[LABELS]))
        ratio = milliseconds / reference if same_device else float("nan")
        line = [Cell(show_interval(*lookup(row, metric)[:2])) for metric in measured]
        line += [Cell(show(milliseconds)), Cell(f"{ratio:.2f}" if ratio == ratio else MISSING)]
        cells.append([*line, Cell(show(lookup(row, "peak_memory")[0]))])
    return columns, cells


def _floor(lookup: _Lookup, metrics: list[str]) -> Iterable[Cell]:
    values = [
        next((row for key, row in lookup._rows.items() if key[2:4] == (REAL, metric)), None) for metric in metrics
    ]
    seeds = max((row[2] for row in values if row), default=0)
    yield from (Cell(str(seeds)), Cell(""))
    for row in values:
        yield from (Cell(show_interval(*row[:2]) if row else MISSING), Cell(""))


def _notes(group: pd.DataFrame) -> list[str]:
    left_out = {status: int(group[status].sum()) for status in ("failed", "running", "waiting")}
    said = ", ".join(f"{number} {status}" for status, number in left_out.items() if number)
    return [f"Not in these numbers, because they did not end: {said}."] if said else []
