"""Read what each run of a sweep is, its records and its result: from its folder, or from the files of a report."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.errors import InputError, first_line, printable
from lipschitz.metrics.description import Description
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.display_names import parse_setting
from lipschitz.report.reading.metric_names import parse_metric
from lipschitz.report.reading.printable_text import printable_json
from lipschitz.report.reading.value_tables import read_values
from lipschitz.sweep.file_shapes import check_definition
from lipschitz.sweep.reported_runs import ReportedRun, ReportedRuns
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder

RECORD_COLUMNS = ["run", "step", "seconds", "metric", "value"]
OUTCOME_COLUMNS = ["run", "which", "metric", "value"]
FACT_COLUMNS = ["run", "metric", "facts"]


class Runs(NamedTuple):
    """The runs that were read, and how many of the plan were not started, or are damaged."""

    rows: list[dict[str, Any]]
    """One a run: its columns in `Results.runs`, its definition, origins, inputs, sources and ``outside``."""
    records: pd.DataFrame
    """Columns `RECORD_COLUMNS`."""
    outcomes: pd.DataFrame
    """Columns `OUTCOME_COLUMNS`; ``which`` is last, best or floor."""
    facts: pd.DataFrame
    """By which protocols the runs were measured: columns `FACT_COLUMNS`; facts are canonical JSON."""
    reported: dict[str, ReportedRun]
    waiting: int
    damaged: list[str]
    """Their ids."""


class _Measured(NamedTuple):
    """What one run measured: the columns of its records, and the rows of its outcomes."""

    steps: NDArray[np.int64]
    seconds: NDArray[np.float64]
    metrics: list[str]
    values: NDArray[np.float64]
    outcomes: list[tuple[str, str, str, float | None]]


def read_runs(folder: SweepFolder, run_ids: list[str], warnings: list[str]) -> Runs:
    """Read the folders of runs; one that is damaged or cannot be read is named in the warnings and left out."""
    rows: list[dict[str, Any]] = []
    reported: dict[str, ReportedRun] = {}
    measured, waiting = [], 0
    damaged: list[str] = []
    for run_id in run_ids:
        run = folder.run(run_id)
        try:
            if not run.path.exists():
                waiting += 1
                continue
            if damage := run.damage():
                path, reason = damage[0]
                warnings.append(f"{path}: damaged, and its run is left out: {reason}")
                damaged.append(run_id)
                continue
            one, content = _read_run(run_id, run)
            rows.append(_row_of(run_id, one))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = first_line(error, with_type=True)
            warnings.append(
                f"{run.path}: cannot be read and is left out ({reason}); to make it again, remove the folder"
            )
            continue
        measured.append(content)
        reported[run_id] = one
    records, outcomes = _records_of(list(reported), measured), _outcomes_of(measured)
    return Runs(rows, records, outcomes, _facts_of(reported), reported, waiting, damaged)


def select_reported(folder: Path, reported: ReportedRuns, run_ids: list[str], prefix: str) -> Runs:
    """Read runs from the files of an earlier report: ``runs.json``, ``records.csv`` and ``outcomes.csv``.

    Args:
        folder: of the sweep.
        reported: the content of ``runs.json``.
        run_ids: those of the plan that are read.
        prefix: of the names of the csv files.

    Raises:
        InputError: a csv file cannot be read.
    """
    chosen = {run_id: reported.runs[run_id] for run_id in run_ids if run_id in reported.runs}
    records, outcomes = read_reported_values(folder, reported, prefix)
    rows = [_row_of(run_id, run) for run_id, run in chosen.items()]
    damaged = [run_id for run_id in run_ids if run_id in reported.damaged]
    waiting = len(run_ids) - len(chosen) - len(damaged)
    return Runs(rows, records, outcomes, _facts_of(chosen), chosen, waiting, damaged)


def read_reported_values(folder: Path, reported: ReportedRuns, prefix: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read ``records.csv`` and ``outcomes.csv`` of an earlier report: columns `RECORD_COLUMNS` and `OUTCOME_COLUMNS`.

    Args:
        folder: of the sweep.
        reported: the content of ``runs.json``.
        prefix: of the names of the csv files.

    Raises:
        InputError: a csv file cannot be read.
    """
    frames = []
    for name, columns, last_lead in (
        ("records.csv", RECORD_COLUMNS, "seconds"),
        ("outcomes.csv", OUTCOME_COLUMNS, "which"),
    ):
        if f"{prefix}{name}" not in reported.files:
            frames.append(pd.DataFrame(columns=columns).astype({"value": np.float64}))
            continue
        try:
            frame = read_values(folder / f"{prefix}{name}", last_lead)[columns]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{folder / (prefix + name)}: cannot be read: {first_line(error)}") from None
        # A report adds the protocol to the name of a metric that was measured by several.
        recorded = {metric: parse_metric(metric).recorded for metric in frame["metric"].unique()}
        frames.append(frame.assign(metric=frame["metric"].map(recorded)))
    return frames[0], frames[1]


def _records_of(run_ids: list[str], measured: list[_Measured]) -> pd.DataFrame:
    """Return the records of all runs as one table."""
    return pd.DataFrame(
        {
            "run": np.repeat(np.array(run_ids, dtype=object), [len(run.steps) for run in measured]),
            "step": np.concatenate([run.steps for run in measured] or [np.zeros(0, np.int64)]),
            "seconds": np.concatenate([run.seconds for run in measured] or [np.zeros(0)]),
            "metric": np.array([name for run in measured for name in run.metrics], dtype=object),
            "value": np.concatenate([run.values for run in measured] or [np.zeros(0)]),
        }
    )


def _outcomes_of(measured: list[_Measured]) -> pd.DataFrame:
    rows = [row for run in measured for row in run.outcomes]
    return pd.DataFrame(rows, columns=OUTCOME_COLUMNS).astype({"value": np.float64})


def _facts_of(reported: dict[str, ReportedRun]) -> pd.DataFrame:
    # Nearly all runs of a sweep share the facts of a metric: one text for all of them.
    texts: dict[str, str] = {}
    rows = []
    for run_id, run in reported.items():
        for name, fact in run.result.get("protocols", {}).items():
            text = _comparable(fact)
            rows.append((run_id, name, texts.setdefault(text, text)))
    return pd.DataFrame(rows, columns=FACT_COLUMNS)


def _comparable(fact: dict[str, Any]) -> str:
    """Return the facts of a metric as canonical JSON, without the data, of which there is one in a report."""
    return json.dumps({name: value for name, value in fact.items() if name != "data"}, sort_keys=True)


def _read_run(run_id: str, run: RunFolder) -> tuple[ReportedRun, _Measured]:
    """Return what a run without damage is and what it measured.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: the run cannot be read.
    """
    definition = printable_json(check_definition(run.definition()))
    lines = run.records()
    result = printable_json(run.result() or {})
    names = {name: printable(name) for name in {str(line["metric"]) for line in lines}}
    outcomes = {
        "last": result.get("last"),
        "best": (result.get("best") or {}).get("values"),
        "floor": result.get("floor"),
    }
    measured = _Measured(
        steps=np.array([line["step"] for line in lines], dtype=np.int64),
        seconds=np.array([line["seconds"] for line in lines], dtype=np.float64),
        metrics=[names[str(line["metric"])] for line in lines],
        values=np.array([line["value"] for line in lines], dtype=np.float64),
        outcomes=[
            (run_id, which, name, value) for which, part in outcomes.items() for name, value in (part or {}).items()
        ],
    )
    return ReportedRun.of(definition, result, run.status_if_sound()), measured


def _row_of(run_id: str, run: ReportedRun) -> dict[str, Any]:
    """Return a row of `Runs`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the definition or result of the run is not as expected.
    """
    definition, result = run.definition, run.result
    labels = {name: str(definition["labels"][name]) for name in LABELS}
    setting = parse_setting(labels["setting"])
    return {
        "run": run_id,
        "configuration": str(definition["configuration"]),
        **labels,
        "setting_name": setting.name,
        "precision": setting.precision,
        "extra": setting.extra,
        "seed": int(definition["seed"]),
        "steps": int(definition["steps"]),
        "batch_size": int(definition["run"]["training"]["batch_size"]),
        "status": run.status,
        "definition": definition["run"],
        "origins": definition.get("provenance", []),
        # Nor do they have inputs.
        "inputs": {name: str(content) for name, content in definition.get("inputs", {}).items()},
        # Runs of early versions have neither sources nor ``outside``.
        "sources": {name: dict(facts) for name, facts in definition.get("sources", {}).items()},
        "outside": {name: dict(facts) for name, facts in definition.get("outside", {}).items()},
        # Nor do they say what a measurement takes for granted.
        "measurement": result.get("measurement", {}),
        "best_by": run.best_by,
        "metrics": [Description(name, **facts) for name, facts in definition.get("metrics", {}).items()],
    }
