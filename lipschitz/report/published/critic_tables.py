"""Build tables that compare our critics with the published ones, and the notes below them."""

import math
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import pandas as pd

from lipschitz.report.number_format import MISSING, show
from lipschitz.report.published.critics import CriticFamily
from lipschitz.report.published.verdicts import (
    NONE,
    OTHERWISE,
    PREDICTED,
    Verdict,
    count_verdicts,
    prediction_interval_text,
    signed,
    verdict,
    with_places,
)
from lipschitz.report.published.work import TRUE, PublishedMethod, flatten, read_published_work
from lipschitz.report.reading.metric_names import heading
from lipschitz.report.statistics.geometric import IN_WORDS
from lipschitz.report.statistics.intervals import PREDICTION
from lipschitz.report.statistics.summary import AS_PUBLISHED
from lipschitz.report.tables.table import Cell, Column, Table

NEAR = {"cosine": 0.03}
"""By metric, the largest difference of two values that are called near, whatever the spread over seeds."""
CAPTION = (
    f"Ours: mean (of {IN_WORDS} the geometric one) after the last step, not the best one, over the n seeds that "
    "finished. It is measured as the code behind the published numbers measures: P and Q are drawn independently, and "
    "the optimal gradient is that of "
    "float32 distances. These are zero near a centre of a funnel; a gradient of zero has cosine zero. Optimal "
    "potential: the same measurement of the optimal potential itself. "
    + PREDICTED.format(reason=", as a published value is of one seed")
)
BY_STEPS = ("with the published steps", "with other steps")
_OTHER_STEPS_NOTE = (
    " At the other steps: our mean after the second number of steps that the published value may be of, where it was "
    "measured."
)
_NEAR_NOTE = " Within .03: the absolute difference is at most .03, whatever the interval."


def tables(family: CriticFamily) -> list[Table]:
    """Return a table for each metric with a published value for a configuration of the family."""
    return [table for metric in AS_PUBLISHED if (table := _table(family, metric)) is not None]


def _table(family: CriticFamily, metric: str) -> Table | None:
    rows = _rows(family, metric)
    if rows.empty:
        return None
    several = bool((rows.groupby("method")["constraint"].nunique() > 1).any())
    doubtful, over = any(_method(name).is_doubtful for name in rows["method"]), "Ours"
    columns = [
        *(Column("Dim"), Column("Funnels"), Column("Method", numeric=False)),
        *([Column("Constraint", numeric=False)] if several else []),
        *(Column("published", "Steps"), Column("ours", "Steps")),
        *(Column("Optimal potential"), Column("Published"), Column("mean", over)),
        *([Column("at the other steps", over)] if doubtful else []),
        *(Column(PREDICTION.short, over), Column("n", over), Column("Ours - published")),
        *([Column("Within .03", numeric=False)] if metric in NEAR else []),
        Column(f"In the {PREDICTION.name}", numeric=False),
    ]
    cells = [_cells(family, row, metric, several, doubtful) for row in rows.itertuples()]
    caption = CAPTION + (_OTHER_STEPS_NOTE if doubtful else "") + (_NEAR_NOTE if metric in NEAR else "")
    true = _true_values(family, rows) if metric == "w1_dual" else []
    title = f"{heading(metric)}, published and ours: {family.title}"
    judged = [Verdict(line[-2].text, line[-1].text) for line in cells]
    alike = [steps in _method(name).budgets for name, steps in zip(rows["method"], rows["steps"], strict=True)]
    summed = count_verdicts(list(zip(judged, alike, strict=True)), BY_STEPS, ".03" if metric in NEAR else "")
    return Table("", "", "", title, columns, cells, [summed, *true, *notes(family, rows)], caption)


def _rows(family: CriticFamily, metric: str) -> pd.DataFrame:
    """Return the cells with a published value and an ended seed, by dimension, width and method."""
    ours = family.values(AS_PUBLISHED[metric])[["n", "mean", "predicted_low", "predicted_high"]]
    rows = family.published_values(metric).join(ours)
    rows = rows[rows["finished"].map(bool) | rows["diverged"].map(bool)]
    places = {method.name: place for place, method in enumerate(read_published_work().methods)}
    return rows.assign(place=rows["method"].map(places)).sort_values(["dim", "width", "place"], kind="stable")


def _cells(family: CriticFamily, row: Any, metric: str, several: bool, doubtful: bool) -> list[Cell]:
    number: Callable[[float], str] = partial(with_places, places=3) if metric in NEAR else show
    method = _method(row.method)
    mean, ends, n, difference = MISSING, MISSING, 0, MISSING
    judged = Verdict(MISSING, OTHERWISE if row.finished else NONE)
    if math.isfinite(row.mean):
        mean, n = number(row.mean), int(row.n)
        difference = signed(number(row.mean - row.published))
        predicted = (row.predicted_low, row.predicted_high)
        judged = verdict(row.published, row.mean, predicted, n, NEAR.get(metric, 0.0))
        ends = prediction_interval_text(metric, predicted, n, number)
    left = [row.dim, row.width, row.method, *([row.constraint] if several else []), method.budget, row.steps]
    optimal = number(family.floor_of(row.dataset, AS_PUBLISHED[metric]))
    other = math.nan
    if method.is_doubtful:
        other = family.mean_at(row.Index, AS_PUBLISHED[metric], method.other_iterations)
    right = [*([judged.near] if metric in NEAR else []), judged.predicted]
    texts = (*left, optimal, row.printed, mean, *([number(other)] if doubtful else []), ends, n, difference, *right)
    return [Cell(str(text)) for text in texts]


def _method(name: str) -> PublishedMethod:
    return next(method for method in read_published_work().methods if method.name == name)


def _true_values(family: CriticFamily, rows: pd.DataFrame) -> list[str]:
    """Return a line with the true W1 of each pair of the table, published and ours."""
    values = read_published_work().values
    values = values[(values["method"] == TRUE) & (values["metric"] == "w1_dual")]
    texts = []
    for (dim, width), group in rows.groupby(["dim", "width"], sort=False):
        theirs = values.loc[(values["dim"] == dim) & (values["width"] == width), "printed"]
        ours = family.true_w1.get(str(group["dataset"].iloc[0]))
        if len(theirs) and ours:
            texts.append(f"dim {dim}, {width} funnels: {theirs.iloc[0]} and {show(ours[0], 4)}")
    return [f"The true W1, published and ours: {'; '.join(texts)}."] if texts else []


def notes(family: CriticFamily, rows: pd.DataFrame) -> list[str]:
    """Return the notes of a table: source and protocol, our runs of each method, their differences, diverged seeds.

    Args:
        family: the critics of the table.
        rows: the cells of the family that are in the table.
    """
    work = read_published_work()
    methods = {method.name: method for method in work.methods if method.name in set(rows["method"])}
    named = [f"{name}: {', '.join(_labels(family, rows, name))}" for name in methods]
    texts = [f"Published: {work.source}; {work.protocol}. Steps: {work.iterations}."]
    texts.append(f"Our runs of each method: {'; '.join(named)}.")
    differing = {name: _differences(family, rows, method) for name, method in methods.items()}
    parts = [f"{name}: {', '.join(found)}" for name, found in differing.items() if found]
    if parts:
        texts.append(f"Differences from the published runs besides steps: {'; '.join(parts)}.")
    return texts + _diverged(rows)


def _diverged(rows: pd.DataFrame) -> list[str]:
    """Return a line that names the diverged seeds; none where there are none."""
    seeds = [
        f"{row['method']} at dim {row['dim']}, {row['width']} funnels (seed {', '.join(map(str, row['diverged']))})"
        for row in rows.to_dict("records")
        if row["diverged"]
    ]
    return [f"Diverged seeds, in no mean: {'; '.join(seeds)}."] if seeds else []


def _labels(family: CriticFamily, rows: pd.DataFrame, name: str) -> list[str]:
    of_method = rows[rows["method"] == name]
    return list(
        dict.fromkeys(
            f"{constraint} on {family.results.shown(model)}"
            for constraint, model in zip(of_method["constraint"], of_method["model"], strict=True)
        )
    )


def _differences(family: CriticFamily, rows: pd.DataFrame, method: PublishedMethod) -> list[str]:
    configurations: list[Hashable] = list(rows.index[rows["method"] == method.name])
    return list(
        dict.fromkeys(
            text
            for configuration in configurations
            for text in method.differences(flatten(family.results.definitions[str(configuration)]))
        )
    )
