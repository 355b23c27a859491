"""From the folder of a sweep to DataFrames: with `runs` the only place of the report that reads runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lipschitz.errors import InputError
from lipschitz.report.comparisons import separate_configurations
from lipschitz.report.names import names
from lipschitz.report.protocols import separate_protocols
from lipschitz.report.runs import outcomes_of, read_run, records_of
from lipschitz.sweep.store import SweepFolder


@dataclass(frozen=True)
class Sweep:
    """What a sweep left behind, as tables.

    Attributes:
        runs: one row a run that was started (index: run id): configuration, the labels, seed, steps, status.
        records: run, step, seconds, metric, value (NaN where it was not finite).
        outcomes: run, which (last, best or floor), metric, value: the ``result.json`` of each run that ended.
        protocols: dataset, metric, facts (a dict): how each number of quality was measured.
        sources: by axis and name, the paper or publisher of what the runs are made of; empty where they do not say.
        outside: by name, where a method from outside the package comes from.
        definitions: by configuration, the resolved run as one of its runs has it.
        names: by label, what people read in its place; a label that is not here is read as it is.
        timings: what the serial pass measured, by configuration.
        waiting: runs of the plan that were not started.
        warnings: one line for each thing that could not be read or must be known.
    """

    name: str
    folder: SweepFolder
    runs: pd.DataFrame
    records: pd.DataFrame
    outcomes: pd.DataFrame
    protocols: pd.DataFrame
    sources: dict[str, dict[str, str]]
    outside: dict[str, dict[str, str]]
    definitions: dict[str, dict[str, Any]]
    names: dict[str, str]
    timings: dict[str, dict[str, Any]]
    provenance: dict[str, Any]
    waiting: int
    warnings: list[str] = field(default_factory=list)

    def labelled(self, frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """Return ``frame`` (one of its columns is ``run``) with ``columns`` of its runs."""
        return frame.join(self.runs[columns], on="run")

    def shown(self, label: str) -> str:
        """Return what people read in the place of ``label``."""
        return self.names.get(label, label)


def load(path: Path) -> Sweep:
    """Read the folder of a sweep.

    A run that cannot be read is named in the warnings and left out; the others are reported.

    Raises:
        InputError: there is no sweep here, or none of its runs can be reported.
    """
    folder = SweepFolder.open(path)
    warnings: list[str] = []
    runs, read, waiting = [], [], 0
    chosen_by = _chosen_by(folder, warnings)
    for run_id in folder.run_ids():
        run = folder.run(run_id)
        if run_id in chosen_by:
            continue
        try:
            if not run.path.exists():
                waiting += 1
                continue
            row, content = read_run(run_id, run)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            warnings.append(f"{run.path}: cannot be read and is left out ({_one_line(error)})")
            continue
        runs.append(row)
        read.append(content)
    if not runs:
        raise InputError(f"{path}: nothing to report: no run was started{_unreadable(warnings)}")
    warnings += _mixed_origins(row["origins"] for row in runs)
    said = ["origins", "sources", "outside"]
    table = separate_configurations(pd.DataFrame(runs).set_index("run").drop(columns=said))
    records, outcomes = records_of(list(table.index), read), outcomes_of(read)
    facts = pd.DataFrame([row for content in read for row in content.facts], columns=["run", "metric", "facts"])
    protocols = separate_protocols(table, records, outcomes, facts, warnings)
    timings, provenance = _read_beside_runs(folder, warnings)
    return Sweep(
        str(folder.definition().get("name", path.name)),
        folder,
        table.drop(columns="definition"),
        records,
        outcomes,
        protocols,
        _merged(row["sources"] for row in runs),
        _merged(row["outside"] for row in runs),
        {row["configuration"]: row["definition"] for row in reversed(runs)},
        _names(table),
        timings,
        provenance,
        waiting,
        warnings,
    )


def _chosen_by(folder: SweepFolder, warnings: list[str]) -> set[str]:
    """Return the ids of runs that settings were chosen by: their values are biased, and stand in no table.

    What was chosen, and that runs are still to be chosen, is said in the warnings.
    """
    definition = folder.definition()
    found: set[str] = set()
    for choice in definition.get("chosen", []):
        found |= set(choice["runs"])
        value = "where every setting diverged" if choice["value"] is None else f"whose mean was {choice['value']:.4g}"
        seeds = ", ".join(map(str, choice["seeds"]))
        group = ", ".join(choice["group"].values())
        warnings.append(
            f"{group}: setting {choice['setting']}, {value}, was chosen by {choice['metric']} on seeds {seeds}"
        )
    if found:
        warnings.append(f"{len(found)} runs that settings were chosen by are in no table")
    if definition.get("waiting"):
        warnings.append(
            f"{definition['waiting']} runs wait until their settings are chosen: what stands here is what they are "
            "chosen by, and its best values are biased"
        )
    return found


def _names(runs: pd.DataFrame) -> dict[str, str]:
    """Return what people read in place of labels, by one run of each configuration."""
    distinct = runs.drop_duplicates("configuration").to_dict("records")
    return names({str(key): value for key, value in row.items()} for row in distinct)


def _mixed_origins(origins: Iterable[list[dict[str, Any]]]) -> list[str]:
    """Return a warning where runs were made, or gone on with, by different code, versions or devices."""
    seen = {
        f"commit {str(origin.get('commit'))[:8]}{' with changes' if origin.get('dirty') else ''}, "
        f"torch {origin.get('versions', {}).get('torch')}, {origin.get('device')}"
        for made in origins
        for origin in made
    }
    return [f"runs of different origin stand in one table: {'; '.join(sorted(seen))}"] if len(seen) > 1 else []


def _merged(said: Iterable[dict[str, dict[str, str]]]) -> dict[str, dict[str, str]]:
    """Return what the runs say together, each name once."""
    merged: dict[str, dict[str, str]] = {}
    for part in said:
        for name, facts in part.items():
            merged.setdefault(name, {}).update(facts)
    return merged


def _read_beside_runs(folder: SweepFolder, warnings: list[str]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    timings, provenance = {}, {}
    try:
        timings = folder.timings()
    except (OSError, ValueError) as error:
        warnings.append(f"{folder.path / 'timing'}: cannot be read; cost is not reported ({_one_line(error)})")
    try:
        provenance = folder.provenance()
    except (OSError, ValueError) as error:
        warnings.append(f"{folder.path / 'provenance.json'}: cannot be read ({_one_line(error)})")
    return timings, provenance


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _unreadable(warnings: list[str]) -> str:
    return f", or none can be read; the first: {warnings[0]}" if warnings else ""
