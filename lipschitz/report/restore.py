"""Make the folders of finished runs again from the files of a report, so that a sweep can go on from it."""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lipschitz.errors import InputError
from lipschitz.report.reading.results import TUNING
from lipschitz.report.reading.runs import OUTCOME_COLUMNS, RECORD_COLUMNS, read_reported_values
from lipschitz.sweep.reported_runs import FILE, ReportedRun, read_arrays, read_reported_runs
from lipschitz.sweep.run_folder import OVER
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.timing_files import Timings

BUILDING = "runs.building"
"""Name of the folder ``runs`` until it is whole."""


class Restored(NamedTuple):
    """How many runs of a report got their folders again, and how many must be trained anew."""

    runs: int
    others: int


def restore(path: Path) -> Restored:
    """Write ``runs/`` and ``timing/`` of a results folder that has only the files of a report.

    Each run that was over gets its definition, records, result and timing, and the arrays that figures showed: a report
    of them has the same numbers. Its networks and other arrays are not in a report, and stay away.

    Args:
        path: the folder, with ``sweep.json``, ``runs.json``, ``records.csv``, ``outcomes.csv`` and ``arrays.npz``.

    Raises:
        InputError: there is no sweep; or its runs are there already; or it has no ``runs.json``; or a file was changed
            after the report; or the folder was converted from an earlier version, whose runs say less.
    """
    folder = SweepFolder.open(path)
    if folder.has_runs():
        raise InputError(f"{path / 'runs'}: is there already; to restore runs from the report, move it away")
    reported = read_reported_runs(folder)
    if reported is None:
        raise InputError(f"{path}: no {FILE}; allowed: the folder of a report that this version wrote")
    if reported.warnings:
        raise InputError(f"{path}: converted from an earlier version, so its runs cannot be restored")
    over = {run_id: run for run_id, run in reported.runs.items() if run.status in OVER}
    parts = [prefix for prefix in ("", TUNING) if f"{prefix}records.csv" in reported.files]
    tables = [read_reported_values(path, reported, prefix) for prefix in parts]
    records = _by_run(pd.concat([table[0] for table in tables])[RECORD_COLUMNS])
    outcomes = _by_run(pd.concat([table[1] for table in tables])[OUTCOME_COLUMNS])
    arrays = {run_id: read_arrays(folder, run_id) for run_id in over}
    building = path / BUILDING
    shutil.rmtree(building, ignore_errors=True)
    for run_id, run in over.items():
        there = folder.run(run_id, within=BUILDING)
        there.path.mkdir(parents=True)
        there.define(run.definition)
        of_run = records.get(run_id, [])
        there.append_records({key: row[key] for key in ("step", "seconds", "metric", "value")} for row in of_run)
        there.finish(_result(run, outcomes.get(run_id, []), of_run), arrays[run_id])
    timings = Timings(path / "timing")
    for configuration, timing in reported.timings.items():
        timings.write(configuration, timing)
    # Last, and at once: a folder with runs is one that needs no restoring.
    building.mkdir(exist_ok=True)
    building.rename(path / "runs")
    return Restored(len(over), len(folder.run_ids()) - len(over))


def _by_run(frame: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each run as they stand in files of a run: NaN is null, and infinity "inf"."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in frame.to_dict("records"):
        row["value"] = _json_number(row["value"])
        rows.setdefault(str(row.pop("run")), []).append({str(key): value for key, value in row.items()})
    return rows


def _json_number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return "inf" if math.isinf(value) else value


def _result(run: ReportedRun, outcomes: list[dict[str, Any]], records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ``result.json`` of a run that was over. The step that was best is not in a report."""
    result = {"seconds": records[-1]["seconds"] if records else 0.0, **run.result}
    for which in ("last", "best", "floor"):
        values = dict(_of(outcomes, which))
        if values:
            result[which] = {"by": run.best_by, "values": values} if which == "best" else values
    return result


def _of(outcomes: list[dict[str, Any]], which: str) -> Iterator[tuple[str, Any]]:
    return ((row["metric"], row["value"]) for row in outcomes if row["which"] == which)
