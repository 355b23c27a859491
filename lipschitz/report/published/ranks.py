"""In which order the methods come, published and ours: what seeds cannot tell apart is not ranked apart."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.report.published.critics import Family
from lipschitz.report.published.notes import notes
from lipschitz.report.published.work import flatten, published
from lipschitz.report.statistics.intervals import PREDICTION
from lipschitz.report.statistics.ranking import rank_text, ranks, signs_of, welch_signs
from lipschitz.report.statistics.summary import AS_PUBLISHED
from lipschitz.report.tables.table import Cell, Column, Table

METRIC = "cosine"
CAPTION = (
    "Rank by cosine, measured as the code behind the published numbers measures it, 1 the best, among the methods "
    "that have one of ours here. Published: by the values of one seed. Ours: two methods are ranked apart only where "
    "their means over seeds differ by Welch's test at 5 %, each pair by itself; where k of m methods are above a "
    "method in this sense and l below it, its rank is k + 1 to m - l. Methods with fewer than two finished seeds have "
    "none. Pairs of methods: alike, where both orders are the same; reversed, where ours are apart in the other "
    "order; not apart, where our seeds leave it open, or where the published values differ by less than one seed each "
    "may: they are taken to vary from seed to seed as ours do, " + PREDICTION.formula + "."
)


class Order(NamedTuple):
    """How pairs of methods are ordered, published and ours; ``reversed`` are indices, ours better first."""

    alike: int
    not_apart: int
    reversed: list[tuple[int, int]]


def compare(theirs: NDArray[np.int64], ours: NDArray[np.int64]) -> Order:
    """Compare two orders pair by pair, each the signs of the methods ``(m, m)``."""
    alike, not_apart, turned = 0, 0, []
    for first, second in combinations(range(len(ours)), 2):
        product = int(theirs[first, second] * ours[first, second])
        if product < 0:
            turned.append((first, second) if ours[first, second] > 0 else (second, first))
        alike, not_apart = alike + (product > 0), not_apart + (product == 0)
    return Order(alike, not_apart, turned)


def tables(family: Family) -> list[Table]:
    """Return one table, a row for each dimension and number of funnels, where two or more methods can be ranked."""
    rows = _ranked(family)
    groups = [group for _, group in rows.groupby(["dim", "width"]) if len(group) > 1]
    if not groups:
        return []
    ranked = pd.concat(groups)
    names = [method.name for method in published().methods if method.name in set(ranked["method"])]
    columns = [Column("Dim"), Column("Funnels")]
    columns += [Column(which, name, numeric=False) for name in names for which in ("published", "ours")]
    columns += [Column(which, "Pairs") for which in ("alike", "not apart", "reversed")]
    orders = [_order(group) for group in groups]
    cells = [_cells(group, order, names) for group, order in zip(groups, orders, strict=True)]
    said = [*_reversed(groups, orders), _steps(ranked, names), *notes(family, ranked)]
    return [Table("", "", "", f"Ranks, published and ours: {family.title}", columns, cells, said, CAPTION)]


def _reversed(groups: list[pd.DataFrame], orders: list[Order]) -> list[str]:
    """Return a line that names every pair of methods whose order ours turns round."""
    said = []
    for group, order in zip(groups, orders, strict=True):
        methods, first = list(group["method"]), group.iloc[0]
        pairs = ", ".join(f"{methods[better]} above {methods[worse]}" for better, worse in order.reversed)
        said += [f"dim {first['dim']}, {first['width']} funnels: {pairs}"] if pairs else []
    return [f"Reversed, in ours: {'; '.join(said)}."] if said else []


def _steps(ranked: pd.DataFrame, names: list[str]) -> str:
    iterations = {method.name: method.budget for method in published().methods}
    ours = {name: sorted(set(ranked.loc[ranked["method"] == name, "steps"])) for name in names}
    said = (f"{name} {iterations[name]} and {' or '.join(map(str, steps))}" for name, steps in ours.items())
    return f"Steps, published and ours: {', '.join(said)}."


def _ranked(family: Family) -> pd.DataFrame:
    """Return one row a (dim, width, method) that has an interval.

    Of several configurations of a method the one that was run most like the published one stands for it.
    """
    rows = family.published_values(METRIC).join(family.values(AS_PUBLISHED[METRIC])[["n", "mean", "ci95", "predicted"]])
    rows = rows[rows["ci95"].notna()]
    methods = {method.name: method for method in published().methods}
    runs = family.results.definitions
    off = [
        len(methods[name].differences(flatten(runs[str(configuration)])))
        for configuration, name in zip(rows.index, rows["method"], strict=True)
    ]
    places = {name: place for place, name in enumerate(methods)}
    rows = rows.assign(off=off, place=rows["method"].map(places)).sort_values("off", kind="stable")
    return rows.drop_duplicates(["dim", "width", "method"]).sort_values("place", kind="stable")


def _order(group: pd.DataFrame) -> Order:
    """Compare the orders of a group: another seed of theirs would lie as far from the first as one of ours may."""
    values, spread = (group[column].to_numpy(float) for column in ("published", "predicted"))
    return compare(signs_of(values - spread, values + spread), _ours(group))


def _ours(group: pd.DataFrame) -> NDArray[np.int64]:
    return welch_signs(*(group[column].to_numpy() for column in ("mean", "ci95", "n")))


def _cells(group: pd.DataFrame, order: Order, names: list[str]) -> list[Cell]:
    values = group["published"].to_numpy(float)
    both = ranks(signs_of(values, values)), ranks(_ours(group))
    methods = list(group["method"])
    theirs, ours = (dict(zip(methods, found, strict=True)) for found in both)
    texts = [str(group["dim"].iloc[0]), str(group["width"].iloc[0])]
    texts += [rank_text(found.get(name)) for name in names for found in (theirs, ours)]
    texts += [str(order.alike), str(order.not_apart), str(len(order.reversed))]
    return [Cell(text) for text in texts]
