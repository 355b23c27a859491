"""Build tables that compare GANs on images with published ones: one table for each work and metric."""

import math
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from lipschitz.report.number_format import MISSING
from lipschitz.report.published.images import (
    matching_configurations,
    other_metrics,
    published_values,
    real_data_values,
    values_by_protocol,
)
from lipschitz.report.published.verdicts import (
    NONE,
    OTHERWISE,
    PREDICTED,
    YES_NO,
    Verdict,
    count_verdicts,
    prediction_interval_text,
    signed,
    verdict,
    with_places,
)
from lipschitz.report.published.work import PublishedWork, read_published_work, works_on_images
from lipschitz.report.reading.metric_names import base, heading
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.intervals import MEANS, PREDICTION, Interval
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import REAL
from lipschitz.report.tables.table import Cell, Column, Table

CAPTION = (
    "Ours is after the last step, never the best, over the n seeds that finished: "
    + MEANS
    + ". It is measured by the protocol of the published value; in the row of real data, real images of another split "
    "in the place of generated ones. {predicted} As published: no means that a run differs from the published one. The "
    "note says how; this may be the whole reason for another value."
)
KINDS = ("run as published", "run differently")
_BEST_OF_SEVERAL = (
    "On {networks} a published value is the best of several settings. As far as the paper says, it was chosen by the "
    "reported trainings themselves, so it is optimistic: a new training with it may be expected to be worse. Ours is "
    "the mean of the setting shown, over seeds by which nothing was chosen. Even the same procedure would thus, on "
    "average, come out worse here than published: the "
    + PREDICTION.short
    + " is of our seeds alone, and need not hold such a value."
)


def tables(summary: Summary) -> list[Table]:
    """Return a table for each published work and metric that a configuration of the sweep matches and measured."""
    found, results = [], summary.results
    for work in map(read_published_work, works_on_images()):
        ours = matching_configurations(results, work)
        for metric in work.measured if len(ours) else ():
            rows = _rows(results, work, metric, ours)
            if len(rows) and _was_measured(results, metric, list(rows.index)):
                found.append(_table(summary, work, metric, rows))
    return found


def _rows(results: Results, work: PublishedWork, metric: str, ours: pd.DataFrame) -> pd.DataFrame:
    """Return the configurations with a published value and an ended seed, in the published order."""
    rows = ours.join(published_values(work, metric), on=["name", "network", "method"], how="inner")
    rows = rows[(rows["finished"] + rows["diverged"]) > 0]
    return rows.join(values_by_protocol(results, work, metric)).sort_values("place", kind="stable")


def _was_measured(results: Results, metric: str, names: list[str]) -> bool:
    """Return whether any of these configurations has the metric, by whatever protocol."""
    runs = results.runs.index[results.runs["configuration"].isin(names)]
    outcomes = results.outcomes[results.outcomes["run"].isin(runs)]
    return bool((outcomes["metric"].map(base) == metric).any())


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
    floor, values = real_data_values(summary, work, metric), published_values(work, metric).to_dict("index")
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
    notes = [count_verdicts(judged, KINDS), *_notes(results, work, metric, rows)]
    return Table("", "", "", title, columns, [[Cell(text) for text in line] for line in cells], notes, _caption(rows))


def _caption(rows: pd.DataFrame) -> str:
    """Return the caption; it says of the prediction interval only what holds for values that are no best of several."""
    once = list(dict.fromkeys(rows.loc[~rows["tried"].map(bool), "network"]))
    of = f" on {' and '.join(once)}" if rows["tried"].any() else ""
    claim = f", in which one published training{of}, or the mean of several, should lie if both are alike"
    return CAPTION.format(predicted=PREDICTED.format(reason=claim if once else ""))


def _cells(results: Results, row: Any, metric: str, several: bool) -> list[str]:
    number = partial(with_places, places=_places(row.printed))
    mean, ends, n, difference, judged = MISSING, MISSING, 0, MISSING, OTHERWISE if row.finished else NONE
    if math.isfinite(row.mean):
        mean, n, predicted = Interval.of_row(row._asdict()).text, int(row.n), (row.predicted_low, row.predicted_high)
        ends = prediction_interval_text(metric, predicted, n, number)
        difference = signed(number(row.mean - row.value))
        judged = verdict(row.value, row.mean, predicted, n).predicted
    left = [results.shown(row.dataset), row.network, row.method, *([results.shown(row.constraint)] if several else [])]
    setting = f"{results.shown(row.chosen['setting'])} (chosen)" if row.chosen else results.shown(row.setting)
    budgets = [setting, row.published, row.steps]
    right = [row.printed, mean, ends, n, row.diverged, difference, judged, YES_NO[bool(row.differs)]]
    return [str(text) for text in (*left, *budgets, *right)]


def _real(dataset: str, theirs: Mapping[Hashable, Any], ours: float, several: bool) -> list[str]:
    """Return the row of real data, whose value is the same for every seed."""
    number, printed = partial(with_places, places=_places(theirs["printed"])), theirs["printed"]
    difference = signed(number(ours - theirs["value"])) if math.isfinite(ours) else MISSING
    empty = [""] * (3 + several)
    return [dataset, "", REAL, *empty, printed, number(ours), "", "", "", difference, "", ""]


def _places(printed: str) -> int:
    """Return the number of digits after the point of a published value, with or without ±."""
    return len(printed.partition(" ")[0].partition(".")[2])


def _notes(results: Results, work: PublishedWork, metric: str, rows: pd.DataFrame) -> list[str]:
    """Return the notes of a table: source and protocol, our runs of each method, choice of settings, differences.

    Args:
        results: of the sweep.
        work: the published work.
        metric: the metric of the table.
        rows: the configurations in the table, as `images.configurations` has them, with their ``mean``.
    """
    found = [{str(key): value for key, value in row.items()} for row in rows.reset_index().to_dict("records")]
    texts = [f"Published: {work.source}; {work.protocol}. {work.iterations}. The number after ±: {work.spread}."]
    if work.released:
        texts.append(f"Released code: {work.released}.")
    texts.append(f"Our runs of each method: {_labels(results, found)}.")
    return texts + _choices(found) + differences_note(results, found) + _other_protocols(results, work, metric, found)


def _labels(results: Results, rows: list[dict[str, Any]]) -> str:
    """Return the labels of our runs, method by method."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        ours = f"{results.shown(row['constraint'])} with the {row['loss']} loss on {results.shown(row['model'])}"
        found.setdefault(f"{row['method']} on {row['network']}", {})[ours] = None
    return "; ".join(f"{name}: {' and '.join(ours)}" for name, ours in found.items())


def _choices(rows: list[dict[str, Any]]) -> list[str]:
    """Return how settings were chosen; where a method has several, that none was chosen."""
    texts = []
    if choices := [row["chosen"] for row in rows if row["chosen"]]:
        by = ", ".join(dict.fromkeys(str(choice["metric"]) for choice in choices))
        seeds = ", ".join(map(str, sorted({seed for choice in choices for seed in choice["seeds"]})))
        texts.append(f"Chosen: the setting with the best {by} on seeds {seeds}, which are in no mean.")
    settings: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        key = tuple(str(row[name]) for name in ("dataset", "model", "method", "constraint"))
        settings.setdefault(key, set()).add(row["setting"])
    if any(len(found) > 1 for found in settings.values()):
        texts.append("Where a method has several settings, none was chosen on other seeds: the best of them is biased.")
    if tried := list(dict.fromkeys(row["network"] for row in rows if row["tried"])):
        texts.append(_BEST_OF_SEVERAL.format(networks=" and ".join(tried)))
    return texts


def differences_note(results: Results, rows: list[dict[str, Any]]) -> list[str]:
    """Return a line with the differences from the published runs, and the rows that have them.

    Args:
        results: of the sweep.
        rows: the configurations of a table: ``method``, ``dataset``, ``network`` and ``differs``, in words.
    """
    common = [text for text in rows[0]["differs"] if all(text in row["differs"] for row in rows)]
    where: dict[tuple[str, ...], dict[str, None]] = {tuple(common): {"every row": None}}
    for row in rows:
        own = tuple(text for text in row["differs"] if text not in common)
        place = f"{row['method']} on {results.shown(row['dataset'])}, {row['network']}"
        where.setdefault(own, {})[place] = None
    parts = [f"{' and '.join(places)}: {', '.join(texts)}" for texts, places in where.items() if texts]
    return [f"Differences from the published runs: {'; '.join(parts)}."] if parts else []


def _other_protocols(results: Results, work: PublishedWork, metric: str, rows: list[dict[str, Any]]) -> list[str]:
    """Return a line with the metrics of another protocol, of rows that have no value by the published one."""
    lacking = [row for row in rows if pd.isna(row["mean"]) and row["finished"]]
    found = {
        f"{name} on {results.shown(row['dataset'])}": None
        for row in lacking
        for name in other_metrics(results, work, metric, row["configuration"])
    }
    return [f"Measured by another protocol, not comparable here: {', '.join(found)}."] if found else []
