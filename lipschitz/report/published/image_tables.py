"""Published GANs of images beside ours: one table a work and metric, by the work's own protocol and no other."""

import math
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from lipschitz.report.number_format import MISSING
from lipschitz.report.published.image_notes import notes
from lipschitz.report.published.images import WORKS, configurations, published_values, reached, real
from lipschitz.report.published.verdicts import (
    NONE,
    OTHERWISE,
    PREDICTED,
    YES_NO,
    Verdict,
    counted,
    fixed,
    interval,
    signed,
    verdict,
)
from lipschitz.report.published.work import PublishedWork, published
from lipschitz.report.reading.metric_names import base, heading
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.intervals import MEAN, PREDICTION, Interval
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import REAL
from lipschitz.report.tables.table import Cell, Column, Table

CAPTION = (
    "Ours is the mean after the last step, never the best, ± " + MEAN.name + " over the n training seeds that "
    "finished, measured by the protocol of the published value; in the row of real data, real images of another split "
    "in the place of generated ones. {predicted} As published: no means that something was run otherwise, which the "
    "note names and which may be all of the difference."
)
KINDS = ("run as published", "run otherwise")


def tables(summary: Summary) -> list[Table]:
    """Return a table for each published work and metric of which a configuration of ``sweep`` is, and was measured."""
    found, results = [], summary.results
    for work in map(published, WORKS):
        ours = configurations(results, work)
        for metric in work.measured if len(ours) else ():
            rows = _rows(results, work, metric, ours)
            if len(rows) and _was_measured(results, metric, list(rows.index)):
                found.append(_table(summary, work, metric, rows))
    return found


def _rows(results: Results, work: PublishedWork, metric: str, ours: pd.DataFrame) -> pd.DataFrame:
    """Return the configurations with a published value of which a seed ended, in the published order."""
    rows = ours.join(published_values(work, metric), on=["name", "network", "method"], how="inner")
    rows = rows[(rows["finished"] + rows["diverged"]) > 0]
    return rows.join(reached(results, work, metric)).sort_values("place", kind="stable")


def _was_measured(results: Results, metric: str, names: list[str]) -> bool:
    """Say whether any of these configurations has the metric, by whatever protocol."""
    runs = results.runs.index[results.runs["configuration"].isin(names)]
    there = results.outcomes[results.outcomes["run"].isin(runs)]
    return bool((there["metric"].map(base) == metric).any())


def _table(summary: Summary, work: PublishedWork, metric: str, rows: pd.DataFrame) -> Table:
    results = summary.results
    several = bool((rows.groupby(["dataset", "network", "method"])["constraint"].nunique() > 1).any())
    columns = [
        *(Column(head, numeric=False) for head in ("Data set", "Network", "Method")),
        *([Column("Constraint", numeric=False)] if several else []),
        Column("Setting", numeric=False),
        *(Column("published", "Steps"), Column("ours", "Steps")),
        *(Column("Published"), Column("mean", "Ours"), Column(PREDICTION.short, "Ours")),
        *(Column("n", "Ours"), Column("diverged", "Ours"), Column("Ours - published")),
        *(Column(f"In the {PREDICTION.name}", numeric=False), Column("As published", numeric=False)),
    ]
    floor, values = real(summary, work, metric), published_values(work, metric).to_dict("index")
    cells: list[list[str]] = []
    judged: list[tuple[Verdict, bool]] = []
    for dataset, group in rows.groupby("dataset", sort=False):
        if theirs := values.get((group["name"].iloc[0], "", REAL)):
            cells.append(_real(results.shown(str(dataset)), theirs, floor.get(str(dataset), math.nan), several))
        for row in group.itertuples():
            cells.append(_cells(results, row, metric, several))
            judged.append((Verdict(MISSING, cells[-1][-2]), not row.differs))
    by = f"{metric}/{work.measured[metric]['protocol']}"
    title = f"{heading(by)}, published and ours: {work.source}"
    said = [counted(judged, KINDS), *notes(results, work, metric, rows)]
    return Table("", "", "", title, columns, [[Cell(text) for text in line] for line in cells], said, _caption(rows))


def _caption(rows: pd.DataFrame) -> str:
    """Claim of the prediction interval what is true of values that were picked from no others (see `image_notes`)."""
    once = list(dict.fromkeys(rows.loc[~rows["tried"].map(bool), "network"]))
    of = f" on {' and '.join(once)}" if rows["tried"].any() else ""
    claim = f", in which one published training{of}, or the mean of several, should lie if both are alike"
    return CAPTION.format(predicted=PREDICTED.format(reason=claim if once else ""))


def _cells(results: Results, row: Any, metric: str, several: bool) -> list[str]:
    number = partial(fixed, places=_places(row.printed))
    mean, ends, n, difference, judged = MISSING, MISSING, 0, MISSING, OTHERWISE if row.finished else NONE
    if math.isfinite(row.mean):
        mean, n = Interval.around(row.mean, row.ci95, int(row.n)).text, int(row.n)
        ends = interval(metric, row.mean, row.predicted, n, number)
        difference = signed(number(row.mean - row.value))
        judged = verdict(row.mean - row.value, row.predicted, n).predicted
    left = [results.shown(row.dataset), row.network, row.method, *([results.shown(row.constraint)] if several else [])]
    setting = f"{results.shown(row.chosen['setting'])} (chosen)" if row.chosen else results.shown(row.setting)
    budgets = [setting, row.published, row.steps]
    right = [row.printed, mean, ends, n, row.diverged, difference, judged, YES_NO[bool(row.differs)]]
    return [str(text) for text in (*left, *budgets, *right)]


def _real(dataset: str, theirs: Mapping[Hashable, Any], ours: float, several: bool) -> list[str]:
    """Return the row of real data, of which every seed says the same."""
    number, printed = partial(fixed, places=_places(theirs["printed"])), theirs["printed"]
    difference = signed(number(ours - theirs["value"])) if math.isfinite(ours) else MISSING
    empty = [""] * (3 + several)
    return [dataset, "", REAL, *empty, printed, number(ours), "", "", "", difference, "", ""]


def _places(printed: str) -> int:
    """Return how many digits a published value has after its point, ± or no ±."""
    return len(printed.partition(" ")[0].partition(".")[2])
