"""Build the table of ranks, published and ours: methods have different ranks only where their seeds differ."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.report.published.critic_tables import notes
from lipschitz.report.published.critics import CriticFamily
from lipschitz.report.published.work import flatten, read_published_work
from lipschitz.report.statistics.intervals import PREDICTION
from lipschitz.report.statistics.ranking import rank_text, ranks, signs_of, welch_signs
from lipschitz.report.statistics.summary import AS_PUBLISHED
from lipschitz.report.tables.table import Cell, Column, Table

METRIC = "cosine"
CAPTION = (
    "Rank by cosine, measured as by the code behind the published numbers; 1 is the best of the methods that were "
    "measured here. Published: ranks of the published values, of one seed. Ours: two methods have different ranks "
    "only where their means over seeds differ by Welch's test at 5 %, without correction for several pairs. Where k of "
    "m methods are above a method in this sense and l below it, its rank is k + 1 to m - l. Methods with fewer than "
    "two finished seeds have no rank. Pairs of methods: alike, where both orders are the same; reversed, where "
    "ours differ in the other order; not apart, where our seeds do not separate the two, or where the published values "
    "are so close that another seed might reverse them: they are taken to vary from seed to seed as ours do, "
    + PREDICTION.formula
    + "."
)


class Order(NamedTuple):
    """How two orders of the same methods agree, pair by pair: ``reversed`` holds indices, ours better first."""

    alike: int
    not_apart: int
    reversed: list[tuple[int, int]]


def compare(theirs: NDArray[np.int64], ours: NDArray[np.int64]) -> Order:
    """Compare two orders pair by pair, each the signs of the methods ``(m, m)``."""
    alike, not_apart, reversed_pairs = 0, 0, []
    for first, second in combinations(range(len(ours)), 2):
        product = int(theirs[first, second] * ours[first, second])
        if product < 0:
            reversed_pairs.append((first, second) if ours[first, second] > 0 else (second, first))
        alike, not_apart = alike + (product > 0), not_apart + (product == 0)
    return Order(alike, not_apart, reversed_pairs)


def tables(family: CriticFamily) -> list[Table]:
    """Return one table with a row a dimension and number of funnels; none where fewer than two methods have a rank."""
    rows = _ranked(family)
    groups = [group for _, group in rows.groupby(["dim", "width"]) if len(group) > 1]
    if not groups:
        return []
    ranked = pd.concat(groups)
    names = [method.name for method in read_published_work().methods if method.name in set(ranked["method"])]
    columns = [Column("Dim"), Column("Funnels")]
    columns += [Column(which, name, numeric=False) for name in names for which in ("published", "ours")]
    columns += [Column(which, "Pairs") for which in ("alike", "not apart", "reversed")]
    orders = [_order(group) for group in groups]
    cells = [_cells(group, order, names) for group, order in zip(groups, orders, strict=True)]
    texts = [*_reversed(groups, orders), _steps(ranked, names), *notes(family, ranked)]
    return [Table("", "", "", f"Ranks, published and ours: {family.title}", columns, cells, texts, CAPTION)]


def _reversed(groups: list[pd.DataFrame], orders: list[Order]) -> list[str]:
    """Return a line that names every pair of methods whose order is reversed in ours."""
    texts = []
    for group, order in zip(groups, orders, strict=True):
        methods, first = list(group["method"]), group.iloc[0]
        pairs = ", ".join(f"{methods[better]} above {methods[worse]}" for better, worse in order.reversed)
        texts += [f"dim {first['dim']}, {first['width']} funnels: {pairs}"] if pairs else []
    return [f"Reversed in ours: {'; '.join(texts)}."] if texts else []


def _steps(ranked: pd.DataFrame, names: list[str]) -> str:
    iterations = {method.name: method.budget for method in read_published_work().methods}
    ours = {name: sorted(set(ranked.loc[ranked["method"] == name, "steps"])) for name in names}
    texts = (f"{name} {iterations[name]} and {' or '.join(map(str, steps))}" for name, steps in ours.items())
    return f"Steps, published and ours: {', '.join(texts)}."


def _ranked(family: CriticFamily) -> pd.DataFrame:
    """Return one row a (dim, width, method) that has an interval.

    A method with several configurations is represented by the one with the fewest differences from the published run.
    """
    ours = family.values(AS_PUBLISHED[METRIC])
    ours = ours.assign(predicted=(ours["predicted_high"] - ours["predicted_low"]) / 2)
    rows = family.published_values(METRIC).join(ours[["n", "mean", "ci95", "predicted"]])
    rows = rows[rows["ci95"].notna()]
    methods = {method.name: method for method in read_published_work().methods}
    runs = family.results.definitions
    differing = [
        len(methods[name].differences(flatten(runs[str(configuration)])))
        for configuration, name in zip(rows.index, rows["method"], strict=True)
    ]
    places = {name: place for place, name in enumerate(methods)}
    rows = rows.assign(differing=differing, place=rows["method"].map(places)).sort_values("differing", kind="stable")
    return rows.drop_duplicates(["dim", "width", "method"]).sort_values("place", kind="stable")


def _order(group: pd.DataFrame) -> Order:
    """Compare the orders of a group, where the published values are taken to vary between seeds as ours do."""
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
