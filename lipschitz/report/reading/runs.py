"""Runs as they lie on the disk: what each is, its records, and what its result says."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipschitz.metrics.description import Description
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.sweep.store import RunFolder, SweepFolder


@dataclass(frozen=True)
class Content:
    """What one run measured: columns of its records, and rows of what its result says."""

    steps: NDArray[np.int64]
    seconds: NDArray[np.float64]
    metrics: list[str]
    values: NDArray[np.float64]
    outcomes: list[tuple[str, str, str, float | None]]
    facts: list[tuple[str, str, str]]


class Runs(NamedTuple):
    """Runs as they were read, a row and a content each, and how many were not started."""

    rows: list[dict[str, Any]]
    contents: list[Content]
    waiting: int


def read_runs(folder: SweepFolder, run_ids: list[str], warnings: list[str]) -> Runs:
    """Return what the folders of runs say; one that cannot be read is named in the warnings and left out."""
    rows, contents, waiting = [], [], 0
    for run_id in run_ids:
        run = folder.run(run_id)
        try:
            if not run.path.exists():
                waiting += 1
                continue
            row, content = _read_run(run_id, run)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            warnings.append(f"{run.path}: cannot be read and is left out ({one_line(error)})")
            continue
        rows.append(row)
        contents.append(content)
    return Runs(rows, contents, waiting)


def records_of(run_ids: list[str], read: list[Content]) -> pd.DataFrame:
    """Return the records of all runs as one table: run, step, seconds, metric, value."""
    return pd.DataFrame(
        {
            "run": np.repeat(np.array(run_ids, dtype=object), [len(content.steps) for content in read]),
            "step": np.concatenate([content.steps for content in read]),
            "seconds": np.concatenate([content.seconds for content in read]),
            "metric": np.array([name for content in read for name in content.metrics], dtype=object),
            "value": np.concatenate([content.values for content in read]),
        }
    )


def outcomes_of(read: list[Content]) -> pd.DataFrame:
    """Return the outcomes of all runs as one table: run, which, metric, value."""
    rows = [row for content in read for row in content.outcomes]
    return pd.DataFrame(rows, columns=["run", "which", "metric", "value"]).astype({"value": np.float64})


def one_line(error: Exception) -> str:
    """Return what went wrong, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _read_run(run_id: str, run: RunFolder) -> tuple[dict[str, Any], Content]:
    """Return what the folder of a run says of it, a row of `Results.runs` and more, and what it measured.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: it cannot be read.
    """
    definition = run.definition()
    lines = run.records()
    result = run.result() or {}
    outcomes = {
        "last": result.get("last"),
        "best": (result.get("best") or {}).get("values"),
        "floor": result.get("floor"),
    }
    content = Content(
        steps=np.array([line["step"] for line in lines], dtype=np.int64),
        seconds=np.array([line["seconds"] for line in lines], dtype=np.float64),
        metrics=[str(line["metric"]) for line in lines],
        values=np.array([line["value"] for line in lines], dtype=np.float64),
        outcomes=[
            (run_id, which, name, value) for which, part in outcomes.items() for name, value in (part or {}).items()
        ],
        facts=[(run_id, name, json.dumps(fact, sort_keys=True)) for name, fact in result.get("protocols", {}).items()],
    )
    row = {
        "run": run_id,
        "configuration": str(definition["configuration"]),
        **{name: str(definition["labels"][name]) for name in LABELS},
        "seed": int(definition["seed"]),
        "steps": int(definition["steps"]),
        "batch_size": int(definition["run"]["training"]["batch_size"]),
        "status": run.status(),
        "definition": definition["run"],
        "origins": definition.get("provenance", []),
        # Runs of early versions say neither.
        **{key: {name: dict(said) for name, said in definition.get(key, {}).items()} for key in ("sources", "outside")},
        "metrics": [Description(name, **said) for name, said in definition.get("metrics", {}).items()],
    }
    return row, content
