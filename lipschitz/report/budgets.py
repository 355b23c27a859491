"""Compare two sweeps of the same critics at different budgets: values, ranks, and where the order changes."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.errors import InputError
from lipschitz.report.number_format import MISSING
from lipschitz.report.published.critics import CriticFamily
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.metric_names import base, heading
from lipschitz.report.statistics.intervals import MEAN, Interval
from lipschitz.report.statistics.ranking import RANK_RULE, rank_text, ranks, welch_signs
from lipschitz.report.tables.table import Cell, Column, Table

METRIC = "cosine"
_KEY = ["dataset", "model", "constraint", "loss", "setting"]
CAPTION = (
    f"Means after the last step ± {MEAN.name} over n training seeds of each sweep. Rank 1 is the best, among the "
    f"methods on a pair of distributions that have an interval in both sweeps. {RANK_RULE}"
)


@dataclass(frozen=True)
class OtherSweep:
    """The results of the other sweep, read from its csv files.

    Attributes:
        name: of its folder.
        values: by the labels of a configuration, mean, ci95 and n of the cosine after its last step, and ``steps``,
            that step; NaN if there is no ``records.csv``.
    """

    name: str
    values: pd.DataFrame


def read_other_sweep(folder: Path) -> OtherSweep:
    """Read ``summary.csv`` in ``folder``, and the steps from ``records.csv`` if it is there.

    Raises:
        InputError: there is no ``summary.csv`` that can be read.
    """
    summary = _csv(folder / "summary.csv", [*LABELS, "metric", "which", "n", "mean", "ci95"])
    chosen = (summary["metric"].map(base) == METRIC) & (summary["which"] == "last") & (summary["task"] == "transport")
    values = summary[chosen].drop_duplicates(_KEY).set_index(_KEY)[["mean", "ci95", "n"]].copy()
    values["steps"] = np.nan
    if (folder / "records.csv").exists():
        values["steps"] = _csv(folder / "records.csv", [*LABELS, "step"]).groupby(_KEY)["step"].max()
    return OtherSweep(folder.resolve().name, values)


def tables(family: CriticFamily, other: OtherSweep) -> list[Table]:
    """Return one table, a row for each method on each pair of distributions that both sweeps measured, if any."""
    rows = _rows(family, other)
    if rows.empty:
        return []
    here = family.results.folder.path.resolve().name
    both = (here, other.name)
    columns = [Column("Pair", numeric=False), Column("Method", numeric=False)]
    columns += [Column(name, over) for over in ("Steps", heading(METRIC), "n", "Rank") for name in both]
    cells, changes = [], _Changes(both)
    for dataset, group in rows.groupby("dataset", sort=False):
        ranked = group[group[["ci95", "ci95_there"]].notna().all(axis=1)]
        orders = [_signs(ranked, suffix) for suffix in ("", "_there")]
        found = [dict(zip(ranked.index, ranks(order), strict=True)) for order in orders]
        pair = family.results.shown(str(dataset))
        changes.add(pair, list(ranked["method_name"]), orders)
        for row in group.itertuples():
            row_ranks = [rank_text(of_sweep.get(row.Index)) for of_sweep in found]
            cells.append([Cell(str(text)) for text in (pair, row.method_name, *_numbers(row), *row_ranks)])
    title = f"Budgets beside each other, {here} and {other.name}: {family.title}"
    return [Table("", "", "", title, columns, cells, changes.notes(), CAPTION)]


class _Changes:
    """How the order of two methods changes from one sweep to the other."""

    def __init__(self, both: tuple[str, str]) -> None:
        here, there = both
        self._kinds = (f"Reversed, {here} against {there}", f"Apart in {here} only", f"Apart in {there} only")
        self._found: dict[str, list[str]] = {kind: [] for kind in self._kinds}
        self._unchanged = 0

    def add(self, pair: str, methods: list[str], orders: list[NDArray[np.int64]]) -> None:
        """Add the methods on one pair of distributions, and their `welch_signs` in either sweep."""
        here, there = orders
        of_kind: dict[str, list[str]] = {}
        for i, j in combinations(range(len(methods)), 2):
            first, second = int(here[i, j]), int(there[i, j])
            if first == second:
                self._unchanged += 1
                continue
            kind = self._kinds[0 if first * second else 1 if first else 2]
            above, below = (i, j) if (first or second) > 0 else (j, i)
            of_kind.setdefault(kind, []).append(f"{methods[above]} above {methods[below]}")
        for kind, changes in of_kind.items():
            self._found[kind].append(f"{pair}: {', '.join(changes)}")

    def notes(self) -> list[str]:
        """Return a line for each kind of change, and how many pairs of methods did not change."""
        lines = [f"{kind}: {'; '.join(changes) or 'none'}." for kind, changes in self._found.items()]
        return [*lines, f"The same order in both, or apart in neither: {self._unchanged} pairs of methods."]


def _rows(family: CriticFamily, other: OtherSweep) -> pd.DataFrame:
    ours = family.values(METRIC)[[*_KEY, "steps", "mean", "ci95", "n"]]
    rows = ours.join(other.values.add_suffix("_there"), on=_KEY)
    rows = rows[rows["mean_there"].notna()]
    names = [family.series_names[key] for key in zip(rows["constraint"], rows["model"], strict=True)]
    return rows.assign(method_name=names)


def _numbers(row: Any) -> list[str]:
    steps = MISSING if np.isnan(row.steps_there) else str(int(row.steps_there))
    here = Interval.around(row.mean, row.ci95, int(row.n))
    there = Interval.around(row.mean_there, row.ci95_there, int(row.n_there))
    return [str(row.steps), steps, here.text, there.text, str(here.n), str(there.n)]


def _signs(rows: pd.DataFrame, suffix: str) -> NDArray[np.int64]:
    mean, ci95, n = (rows[f"{name}{suffix}"].to_numpy() for name in ("mean", "ci95", "n"))
    return welch_signs(mean, ci95, n)


def _csv(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read some columns of a table. Labels such as ``none`` or ``NA`` are not missing values."""
    try:
        return pd.read_csv(path, usecols=columns, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise InputError(f"{path}: not found; `lipschitz report {path.parent}` writes it from the runs") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table of results: {error}") from None
