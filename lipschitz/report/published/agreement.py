"""Published and ours, side by side: does the published value lie where another seed of ours would?"""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pandas as pd

from lipschitz.report.digits import MISSING, show
from lipschitz.report.pairs import Family
from lipschitz.report.published.notes import notes
from lipschitz.report.published.work import TRUE, published
from lipschitz.report.table import Cell, Column, Table
from lipschitz.report.titles import heading

METRICS = ("cosine", "l2", "w1_dual")
NEAR = {"cosine": 0.03}
"""By metric, the difference up to which two values are called near, whatever the seeds' spread."""
CAPTION = (
    "Ours is the mean after the last step, never the best, over the n training seeds that finished. The interval is "
    "that of one new seed at 95 %, mean ± t s sqrt(1 + 1/n), as a published value is of one seed; with n < 2 there is "
    "none. In the interval: the published value lies in it."
)
_NEAR_SAID = " Within .03: the difference is no larger than that, in the interval or not."


def verdict(difference: float, half_width: float, near: float) -> str:
    """Return in words how far a published value is from the mean of ours.

    Args:
        difference: published - ours.
        half_width: of the interval for one new seed; NaN where there is none.
        near: how far is still called near; zero where nothing is.
    """
    if near and abs(difference) <= near:
        return f"within {near:g}".replace("0.", ".")
    if math.isnan(half_width):
        return "no interval"
    return "in the interval" if abs(difference) <= half_width else "outside"


def tables(family: Family) -> list[Table]:
    """Return a table for each metric that was published of a configuration of the family."""
    return [table for metric in METRICS if (table := _table(family, metric)) is not None]


def _table(family: Family, metric: str) -> Table | None:
    rows = _rows(family, metric)
    if rows.empty:
        return None
    several = bool((rows.groupby("method")["constraint"].nunique() > 1).any())
    over = "Ours"
    columns = [
        *(Column("Dim"), Column("Funnels"), Column("Method", numeric=False)),
        *([Column("Constraint", numeric=False)] if several else []),
        *(Column("published", "Steps"), Column("ours", "Steps")),
        *(Column("Published"), Column("mean", over), Column("± one new seed", over), Column("interval", over)),
        *(Column("n", over), Column("Published - ours"), Column("Verdict", numeric=False)),
    ]
    cells = [_cells(row, metric, several) for row in rows.itertuples()]
    counted = Counter(line[-1].text for line in cells)
    counts = ", ".join(f"{number} {word}" for word, number in counted.most_common())
    said = CAPTION + (_NEAR_SAID if metric in NEAR else "")
    true = _true_values(family, rows) if metric == "w1_dual" else []
    title = f"{heading(metric)}, published and ours: {family.title}"
    return Table(
        "", "", "", title, columns, cells, [f"{len(cells)} rows: {counts}.", *true, *notes(family, rows)], said
    )


def _rows(family: Family, metric: str) -> pd.DataFrame:
    """Return the cells with a published value of which a seed ended, by dimension, width and method."""
    rows = family.published_values(metric).join(family.values(metric)[["n", "mean", "predicted"]])
    rows = rows[rows["finished"].map(bool) | rows["diverged"].map(bool)]
    places = {method.name: place for place, method in enumerate(published().methods)}
    return rows.assign(place=rows["method"].map(places)).sort_values(["dim", "width", "place"], kind="stable")


def _cells(row: Any, metric: str, several: bool) -> list[Cell]:
    number: Callable[[float], str] = (lambda value: f"{value:.3f}") if metric in NEAR else show
    iterations = {method.name: method.iterations for method in published().methods}[row.method]
    ours = [MISSING, MISSING, MISSING, "0", MISSING, "none finished"]
    if math.isfinite(row.mean):
        difference, half = row.published - row.mean, row.predicted
        interval = [MISSING] * 2 if math.isnan(half) else [number(half), _range(row.mean, half, number)]
        judged = verdict(difference, half, NEAR.get(metric, 0.0))
        ours = [number(row.mean), *interval, str(int(row.n)), _signed(number(difference)), judged]
    left = [row.dim, row.width, row.method, *([row.constraint] if several else []), iterations, row.steps]
    return [Cell(str(text)) for text in (*left, row.printed, *ours)]


def _range(mean: float, half: float, number: Callable[[float], str]) -> str:
    return f"{number(mean - half)} to {number(mean + half)}"


def _signed(number: str) -> str:
    """Return a printed number with its sign; one that is printed as zero has none."""
    if float(number) == 0:
        return number.lstrip("-")
    return number if number.startswith("-") else f"+{number}"


def _true_values(family: Family, rows: pd.DataFrame) -> list[str]:
    """Return the true W1 of each pair of the table, as published and as measured here."""
    values = published().values
    values = values[(values["method"] == TRUE) & (values["metric"] == "w1_dual")]
    said = []
    for (dim, width), group in rows.groupby(["dim", "width"], sort=False):
        theirs = values.loc[(values["dim"] == dim) & (values["width"] == width), "printed"]
        ours = family.true_w1.get(str(group["dataset"].iloc[0]))
        if len(theirs) and ours:
            said.append(f"dim {dim}, {width} funnels: {theirs.iloc[0]} and {show(ours[0], 4)}")
    return [f"The true W1, published and ours: {'; '.join(said)}."] if said else []
