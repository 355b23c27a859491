"""Two sweeps of the same critics on other budgets, side by side: which order of methods is the budget's doing."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.errors import InputError
from lipschitz.report.published.critics import Family
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.protocols import base
from lipschitz.report.reading.titles import heading
from lipschitz.report.statistics.ranking import rank_said, ranks, welch_signs
from lipschitz.report.tables.number_format import MISSING, show_interval
from lipschitz.report.tables.table import Cell, Column, Table

METRIC = "cosine"
_KEY = ["dataset", "model", "constraint", "loss", "setting"]
CAPTION = (
    "Means after the last step ± 95 % Student-t interval over n training seeds, ours in both. Ranks, 1 the best, are "
    "among the methods of a pair that have an interval in both: two are ranked apart only where their means differ by "
    "Welch's test at 5 %, each pair by itself, and one that k are above and l below in this sense has rank k + 1 to "
    "m - l, of m."
)


@dataclass(frozen=True)
class Beside:
    """Another sweep's results, as far as its csv files keep them.

    Attributes:
        name: of the folder.
        values: by the labels of a configuration, mean, ci95 and n of the cosine after its last step, and ``steps``,
            that step; NaN where there is no ``records.csv``.
    """

    name: str
    values: pd.DataFrame


def read(folder: Path) -> Beside:
    """Read the results in ``folder``, of which ``summary.csv`` is enough.

    Raises:
        InputError: there is no ``summary.csv`` that can be read.
    """
    summary = _csv(folder / "summary.csv", [*LABELS, "metric", "which", "n", "mean", "ci95"])
    chosen = (summary["metric"].map(base) == METRIC) & (summary["which"] == "last") & (summary["task"] == "transport")
    values = summary[chosen].drop_duplicates(_KEY).set_index(_KEY)[["mean", "ci95", "n"]].copy()
    values["steps"] = np.nan
    if (folder / "records.csv").exists():
        values["steps"] = _csv(folder / "records.csv", [*LABELS, "step"]).groupby(_KEY)["step"].max()
    return Beside(folder.resolve().name, values)


def tables(family: Family, other: Beside) -> list[Table]:
    """Return one table, a row for each method on each pair of distributions that both sweeps measured."""
    rows = _rows(family, other)
    if rows.empty:
        return []
    here = family.results.folder.path.resolve().name
    both = (here, other.name)
    columns = [Column("Pair", numeric=False), Column("Method", numeric=False)]
    columns += [Column(name, over) for over in ("Steps", heading(METRIC), "n", "Rank") for name in both]
    cells, said = [], _Pairs(both)
    for dataset, group in rows.groupby("dataset", sort=False):
        ranked = group[group[["ci95", "ci95_there"]].notna().all(axis=1)]
        orders = [_signs(ranked, suffix) for suffix in ("", "_there")]
        found = [dict(zip(ranked.index, ranks(order), strict=True)) for order in orders]
        pair = family.results.shown(str(dataset))
        said.add(pair, list(ranked["method_name"]), orders)
        for row in group.itertuples():
            cells.append(
                [Cell(str(text)) for text in (pair, row.method_name, *_numbers(row), *_ranks(row.Index, found))]
            )
    title = f"Budgets beside each other, {here} and {other.name}: {family.title}"
    return [Table("", "", "", title, columns, cells, said.notes(), CAPTION)]


class _Pairs:
    """How pairs of methods are ordered in either sweep."""

    def __init__(self, both: tuple[str, str]) -> None:
        here, there = both
        self._heads = (f"Reversed, {here} against {there}", f"Apart in {here} only", f"Apart in {there} only")
        self._found: dict[str, list[str]] = {head: [] for head in self._heads}
        self._alike = 0

    def add(self, pair: str, methods: list[str], orders: list[Any]) -> None:
        """Add the methods of one pair of distributions, and their `signs` in either sweep."""
        here, there = orders
        said: dict[str, list[str]] = {}
        for i, j in combinations(range(len(methods)), 2):
            first, second = int(here[i, j]), int(there[i, j])
            if first == second:
                self._alike += 1
                continue
            place = 0 if first * second else 1 if first else 2
            above, below = (i, j) if (first or second) > 0 else (j, i)
            said.setdefault(self._heads[place], []).append(f"{methods[above]} above {methods[below]}")
        for head, pairs in said.items():
            self._found[head].append(f"{pair}: {', '.join(pairs)}")

    def notes(self) -> list[str]:
        """Return a line a kind of difference, and how many pairs of methods are ordered alike."""
        lines = [f"{head}: {'; '.join(said) or 'none'}." for head, said in self._found.items()]
        return [*lines, f"Ordered alike, or apart in neither: {self._alike} pairs of methods."]


def _rows(family: Family, other: Beside) -> pd.DataFrame:
    ours = family.values(METRIC)[[*_KEY, "steps", "mean", "ci95", "n"]]
    rows = ours.join(other.values.add_suffix("_there"), on=_KEY)
    rows = rows[rows["mean_there"].notna()]
    names = [family.series_names[key] for key in zip(rows["constraint"], rows["model"], strict=True)]
    return rows.assign(method_name=names)


def _numbers(row: Any) -> list[str]:
    there = MISSING if np.isnan(row.steps_there) else str(int(row.steps_there))
    values = [show_interval(row.mean, row.ci95), show_interval(row.mean_there, row.ci95_there)]
    return [str(row.steps), there, *values, str(int(row.n)), str(int(row.n_there))]


def _ranks(index: Any, found: list[dict[Any, tuple[int, int]]]) -> list[str]:
    return [rank_said(ranked.get(index)) for ranked in found]


def _signs(rows: pd.DataFrame, suffix: str) -> NDArray[np.int64]:
    mean, ci95, n = (rows[f"{name}{suffix}"].to_numpy() for name in ("mean", "ci95", "n"))
    return welch_signs(mean, ci95, n)


def _csv(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read some columns of a table; a label may be a word that pandas takes for a missing value."""
    try:
        return pd.read_csv(path, usecols=columns, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise InputError(
            f"{path}: not there; `lipschitz report {path.parent}` writes it where there are runs"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table of results: {error}") from None
