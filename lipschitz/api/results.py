"""Read the results of a sweep as DataFrames: from its runs, or from the committed files of a report alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from lipschitz.checksums import read_sealed
from lipschitz.errors import InputError, first_line
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.value_tables import read_values
from lipschitz.sweep.reported_runs import FILE
from lipschitz.sweep.store import SweepFolder

RUN_COLUMNS = [*LABELS, "seed"]
"""Columns of the runs, which their records have, too."""
RECORDS = ["run", *RUN_COLUMNS, "step", "seconds", "metric", "value"]
OUTCOMES = ["run", *RUN_COLUMNS, "steps", "batch_size", "which", "metric", "value"]
INTEGERS = ("n", "diverged")
NUMBERS = ("mean", "ci95", "low", "high")
"""Columns that hold numbers, of which an empty cell is NaN; the others hold text, also where it looks like a number."""


@dataclass(frozen=True)
class SweepResults:
    """The results of a sweep; `load` reads them.

    Attributes:
        folder: of the results.
        name: of the sweep.
        runs: one row a run (index: its id): task, dataset, model, constraint, loss, setting, seed, and further columns,
            such as status, steps and batch_size. Read from tables alone it has only the first, of runs with records.
        records: run, the columns of ``runs``, step, seconds, metric, value: what every evaluation measured; NaN where a
            value was not finite, inf for a bound that does not exist.
        outcomes: run, the columns of ``runs``, steps, batch_size, which (last, best, or floor: of real data), metric,
            value: how each run ended. Empty if read from tables that an earlier version wrote.
        summary: a row for each configuration, metric, and last or best step: n, mean, low and high, the ends of the
            95 % interval over n seeds, ci95, half of their distance, and how many seeds diverged. Means of distances,
            norms and Lipschitz constants are geometric. The constraint ``real data`` is the floor.
        definition: ``sweep.json``: the sweep file's content, and the ids of the planned runs.
        provenance: commit, command, versions, device and data; empty where it was not recorded.
        source: what was read: the folders of the ``runs``; the files of a ``report``, with ``runs.json``; or its
            ``tables`` alone, as versions without ``runs.json`` wrote them.
        warnings: one line for each thing that is missing or must be known.
    """

    folder: Path
    name: str
    runs: pd.DataFrame
    records: pd.DataFrame
    outcomes: pd.DataFrame
    summary: pd.DataFrame
    definition: dict[str, Any]
    provenance: dict[str, Any]
    source: Literal["runs", "report", "tables"]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        found = f"{len(self.runs)} runs, {len(self.records)} records, {len(self.summary)} rows of summary"
        return f"<results of {self.name} from {self.folder} ({self.source}): {found}>"


def load(folder: str | Path) -> SweepResults:
    """Read a results folder: its runs or, where they are not there, the files of its last report.

    A cited results folder is committed without its runs, and is read all the same. Of a report by an earlier version,
    without ``runs.json``, ``summary.csv`` and ``records.csv`` are read as they are.

    Raises:
        InputError: there is no sweep in the folder, nothing to read, or a file cannot be read, or was changed.
    """
    path = Path(folder)
    sweep = SweepFolder.open(path)
    if any(sweep.run(run_id).path.exists() for run_id in sweep.run_ids()):
        return _reported(path, "runs")
    return _reported(path, "report") if (path / FILE).exists() else _from_tables(sweep)


def _reported(path: Path, source: Literal["runs", "report"]) -> SweepResults:
    # A report needs these, and matplotlib; tables alone need neither.
    from lipschitz.report.reading.results import load as read_results
    from lipschitz.report.reading.tuning import add_picked_column
    from lipschitz.report.statistics.summary import Summary

    found = read_results(path)
    records = found.labelled(found.records, RUN_COLUMNS)[RECORDS]
    outcomes = found.labelled(found.outcomes, [*RUN_COLUMNS, "steps", "batch_size"])[OUTCOMES]
    return SweepResults(
        folder=path,
        name=found.name,
        runs=found.runs[[*RUN_COLUMNS, *found.runs.columns.difference(RUN_COLUMNS, sort=False)]],
        records=add_picked_column(records, found.runs),
        outcomes=add_picked_column(outcomes, found.runs),
        summary=add_picked_column(Summary(found).frame, found.runs),
        definition=found.folder.definition(),
        provenance=found.provenance,
        source=source,
        warnings=tuple(found.warnings),
    )


def _from_tables(sweep: SweepFolder) -> SweepResults:
    path, warnings = sweep.path, []
    summary = _table(path / "summary.csv", ["metric", "which", "mean"])
    if summary is None:
        raise InputError(
            f"{path}: neither runs/, runs.json nor summary.csv are here; `lipschitz sweep FILE` makes them"
        )
    records = _records(path / "records.csv")
    if records is None:
        warnings.append(f"{path}: no records.csv, so runs and records are empty")
        records = pd.DataFrame(columns=RECORDS)
    definition = sweep.definition()
    return SweepResults(
        folder=path,
        name=str(definition.get("name", path.name)),
        runs=records.drop_duplicates("run").set_index("run")[RUN_COLUMNS],
        records=records,
        outcomes=pd.DataFrame(columns=OUTCOMES),
        summary=summary,
        definition=definition,
        provenance=_provenance(path / "provenance.json", warnings),
        source="tables",
        warnings=tuple(warnings),
    )


def _records(path: Path) -> pd.DataFrame | None:
    """Return ``records.csv`` with a row for each value, or None where it is not there.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    try:
        records = read_values(path, "seconds")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {first_line(error)}") from None
    _check_columns(path, records, RECORDS)
    return records


def _table(path: Path, needed: Sequence[str]) -> pd.DataFrame | None:
    """Return a table that a report wrote, or None where it is not there.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    try:
        # As text: a label such as "none" or "NA" is one, and pandas rounds numbers differently in its versions.
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for name in table.columns.intersection([*INTEGERS, *NUMBERS]):
            kind: type[int] | type[float] = int if name in INTEGERS else float
            table[name] = [kind(cell or "nan") for cell in table[name]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {first_line(error)}") from None
    _check_columns(path, table, needed)
    return table


def _check_columns(path: Path, table: pd.DataFrame, needed: Sequence[str]) -> None:
    if lacking := [name for name in needed if name not in table.columns]:
        raise InputError(f"{path}: it lacks the columns {', '.join(lacking)}; `lipschitz report` writes it")


def _provenance(path: Path, warnings: list[str]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return read_sealed(path, path.name)
    except (OSError, ValueError) as error:
        warnings.append(f"{path}: cannot be read ({first_line(error)})")
        return {}
