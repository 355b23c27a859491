"""From the folder of a sweep to DataFrames: with `runs` the only place of the report that reads runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lipschitz.errors import InputError
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.reading.comparisons import separate_configurations
from lipschitz.report.reading.names import names
from lipschitz.report.reading.protocols import separate_protocols
from lipschitz.report.reading.runs import Runs, one_line, outcomes_of, read_runs, records_of
from lipschitz.report.reading.tuning import choices_of, mark
from lipschitz.sweep.store import SweepFolder


@dataclass(frozen=True)
class Results:
    """What a sweep left behind, as tables.

    Attributes:
        runs: one row a run that was started (index: run id): configuration, the labels, seed, steps, status, and the
            setting that was picked for it where it was chosen by results; its setting then is ``chosen``.
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
        chosen: the settings that were chosen by results, as the definition of the sweep has them.
        tuning: the runs that they were chosen by, as a sweep of their own; None where there are none. The best of them
            is the luckiest of several, so that they stand beside each other and in no other table or figure.
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
    chosen: list[dict[str, Any]] = field(default_factory=list)
    tuning: "Results | None" = None

    def labelled(self, frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """Return ``frame`` (one of its columns is ``run``) with ``columns`` of its runs."""
        return frame.join(self.runs[columns], on="run")

    def shown(self, label: str) -> str:
        """Return what people read in the place of ``label``."""
        return self.names.get(label, label)


def load(path: Path) -> Results:
    """Read the folder of a sweep.

    A run that cannot be read is named in the warnings and left out; the others are reported.

    Raises:
        InputError: there is no sweep here, or none of its runs can be reported.
    """
    folder = SweepFolder.open(path)
    warnings: list[str] = []
    chosen, chosen_by = choices_of(folder, warnings)
    found = folder.run_ids()
    unread: list[str] = []
    reported = read_runs(folder, [run_id for run_id in found if run_id not in chosen_by], unread)
    judged = read_runs(folder, [run_id for run_id in found if run_id in chosen_by], unread)
    if not reported.rows:
        raise InputError(f"{path}: nothing to report: {_none_started(len(judged.rows))}{_unreadable(unread)}")
    warnings += unread
    mark(reported.rows, chosen)
    mark(judged.rows, [])
    warnings += _mixed_origins(row["origins"] for row in [*reported.rows, *judged.rows])
    timings, provenance = _read_beside_runs(folder, warnings)
    beside = (folder, timings, provenance, warnings, chosen)
    return _results_of(reported, *beside, _results_of(judged, *beside, None) if judged.rows else None)


def _results_of(
    read: Runs,
    folder: SweepFolder,
    timings: dict[str, dict[str, Any]],
    provenance: dict[str, Any],
    warnings: list[str],
    chosen: list[dict[str, Any]],
    tuning: Results | None,
) -> Results:
    """Return the tables of what was read; ``warnings`` is one list for all parts of a sweep."""
    # Titles and directions of metrics that are not the package's own stand in the runs that measured them.
    CATALOGUE.declare(metric for row in read.rows for metric in row["metrics"])
    said = ["origins", "sources", "outside", "metrics"]
    table = separate_configurations(pd.DataFrame(read.rows).set_index("run").drop(columns=said))
    records, outcomes = records_of(list(table.index), read.contents), outcomes_of(read.contents)
    facts = pd.DataFrame(
        [row for content in read.contents for row in content.facts], columns=["run", "metric", "facts"]
    )
    protocols = separate_protocols(table, records, outcomes, facts, warnings)
    return Results(
        str(folder.definition().get("name", folder.path.name)),
        folder,
        table.drop(columns="definition"),
        records,
        outcomes,
        protocols,
        _merged(row["sources"] for row in read.rows),
        _merged(row["outside"] for row in read.rows),
        {row["configuration"]: row["definition"] for row in reversed(read.rows)},
        _names(table),
        timings,
        provenance,
        read.waiting,
        warnings,
        chosen,
        tuning,
    )


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
        warnings.append(f"{folder.path / 'timing'}: cannot be read; cost is not reported ({one_line(error)})")
    try:
        provenance = folder.provenance()
    except (OSError, ValueError) as error:
        warnings.append(f"{folder.path / 'provenance.json'}: cannot be read ({one_line(error)})")
    return timings, provenance


def _none_started(judged: int) -> str:
    """Say that there is none of the runs that are reported, beside ``judged`` that settings were chosen by."""
    if not judged:
        return "no run was started"
    return f"no run of the chosen settings was started, only the {judged} that they were chosen by"


def _unreadable(unread: list[str]) -> str:
    return f", or none can be read; the first: {unread[0]}" if unread else ""
