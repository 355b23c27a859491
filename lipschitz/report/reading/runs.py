"""Read the folders of runs: what each run is, its records, and its result."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.errors import first_line, printable
from lipschitz.metrics.description import Description
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.display_names import parse_setting
from lipschitz.report.reading.printable_text import printable_json
from lipschitz.sweep.file_shapes import check_definition
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder


@dataclass(frozen=True)
class RunMeasurements:
    """What one run measured: columns of its records, and rows of the tables of outcomes and facts."""

    steps: NDArray[np.int64]
    seconds: NDArray[np.float64]
    metrics: list[str]
    values: NDArray[np.float64]
    outcomes: list[tuple[str, str, str, float | None]]
    facts: list[tuple[str, str, str]]


class Runs(NamedTuple):
    """The runs that were read, and how many of the plan were not started, or are damaged."""

    rows: list[dict[str, Any]]
    """One a run: its columns in `Results.runs`, its definition, origins, inputs, sources and ``outside``."""
    measured: list[RunMeasurements]
    waiting: int
    damaged: int = 0


def read_runs(folder: SweepFolder, run_ids: list[str], warnings: list[str]) -> Runs:
    """Read the folders of runs; one that is damaged or cannot be read is named in the warnings and left out."""
    rows, measured, waiting, damaged = [], [], 0, 0
    for run_id in run_ids:
        run = folder.run(run_id)
        try:
            if not run.path.exists():
                waiting += 1
                continue
            if damage := run.damage():
                path, reason = damage[0]
                warnings.append(f"{path}: damaged, and its run is left out: {reason}")
                damaged += 1
                continue
            row, content = _read_run(run_id, run)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = first_line(error, with_type=True)
            warnings.append(
                f"{run.path}: cannot be read and is left out ({reason}); to make it again, remove the folder"
            )
            continue
        rows.append(row)
        measured.append(content)
    return Runs(rows, measured, waiting, damaged)


def records_of(run_ids: list[str], measured: list[RunMeasurements]) -> pd.DataFrame:
    """Return the records of all runs as one table: run, step, seconds, metric, value."""
    return pd.DataFrame(
        {
            "run": np.repeat(np.array(run_ids, dtype=object), [len(run.steps) for run in measured]),
            "step": np.concatenate([run.steps for run in measured]),
            "seconds": np.concatenate([run.seconds for run in measured]),
            "metric": np.array([name for run in measured for name in run.metrics], dtype=object),
            "value": np.concatenate([run.values for run in measured]),
        }
    )


def outcomes_of(measured: list[RunMeasurements]) -> pd.DataFrame:
    """Return the outcomes of all runs as one table: run, which, metric, value."""
    rows = [row for run in measured for row in run.outcomes]
    return pd.DataFrame(rows, columns=["run", "which", "metric", "value"]).astype({"value": np.float64})


def facts_of(measured: list[RunMeasurements]) -> pd.DataFrame:
    """Return by which protocols all runs were measured as one table: run, metric, facts (canonical JSON)."""
    return pd.DataFrame([row for run in measured for row in run.facts], columns=["run", "metric", "facts"])


def _comparable(fact: dict[str, Any]) -> str:
    """Return the facts of a metric as canonical JSON, without the data, of which there is one in a report."""
    return json.dumps({name: value for name, value in fact.items() if name != "data"}, sort_keys=True)


def _read_run(run_id: str, run: RunFolder) -> tuple[dict[str, Any], RunMeasurements]:
    """Return a row of `Runs` and what the run measured.

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
    measured = RunMeasurements(
        steps=np.array([line["step"] for line in lines], dtype=np.int64),
        seconds=np.array([line["seconds"] for line in lines], dtype=np.float64),
        metrics=[names[str(line["metric"])] for line in lines],
        values=np.array([line["value"] for line in lines], dtype=np.float64),
        outcomes=[
            (run_id, which, name, value) for which, part in outcomes.items() for name, value in (part or {}).items()
        ],
        facts=[(run_id, name, _comparable(fact)) for name, fact in result.get("protocols", {}).items()],
    )
    labels = {name: str(definition["labels"][name]) for name in LABELS}
    setting = parse_setting(labels["setting"])
    row = {
        "run": run_id,
        "configuration": str(definition["configuration"]),
        **labels,
        "setting_name": setting.name,
        "precision": setting.precision,
        "extra": setting.extra,
        "seed": int(definition["seed"]),
        "steps": int(definition["steps"]),
        "batch_size": int(definition["run"]["training"]["batch_size"]),
        "status": run.status(),
        "definition": definition["run"],
        "origins": definition.get("provenance", []),
        # Nor do they have inputs.
        "inputs": {name: str(content) for name, content in definition.get("inputs", {}).items()},
        # Runs of early versions have neither sources nor ``outside``.
        "sources": {name: dict(facts) for name, facts in definition.get("sources", {}).items()},
        "outside": {name: dict(facts) for name, facts in definition.get("outside", {}).items()},
        # Nor do they say what a measurement takes for granted.
        "measurement": result.get("measurement", {}),
        "best_by": str((result.get("best") or {}).get("by") or ""),
        "metrics": [Description(name, **facts) for name, facts in definition.get("metrics", {}).items()],
    }
    return row, measured
