"""Read the folder of a sweep into DataFrames."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from lipschitz.errors import InputError, first_line, printable
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.reading.comparisons import LABELS, separate_configurations
from lipschitz.report.reading.display_names import display_names
from lipschitz.report.reading.inputs import refuse_mixed_inputs
from lipschitz.report.reading.judges import weak_judges
from lipschitz.report.reading.metric_names import separate_protocols
from lipschitz.report.reading.printable_text import printable_json
from lipschitz.report.reading.runs import Runs, read_runs, select_reported
from lipschitz.report.reading.tuning import choices_of, mark_chosen
from lipschitz.sweep.file_shapes import check_arrays
from lipschitz.sweep.reported_runs import ReportedRun, ReportedRuns, read_arrays, read_reported_runs
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.timing_files import drift_warning
from lipschitz.tasks.averaging import average_warnings

TUNING = "tuning_"
"""Prefix of the csv files of the runs that settings were chosen by."""


@dataclass(frozen=True)
class Results:
    """The results of a sweep, as tables.

    Attributes:
        runs: one row a run that was started (index: run id): configuration, the labels, the parts of the setting's
            label (setting_name, precision, and extra, which tells configurations of the same labels apart), seed,
            steps, batch_size, status, and the setting that was picked for it if settings were chosen by results; its
            own setting then is ``chosen``.
        records: run, step, seconds, metric, value (NaN where it was not finite).
        outcomes: run, which (last, best or floor), metric, value: the ``result.json`` of each run that ended.
        protocols: dataset, metric, facts (a dict): how each metric of quality was measured.
        sources: by axis and name, the paper or publisher of what the runs are made of; empty where they do not say.
        outside: by name, where a method from outside the package comes from.
        definitions: by configuration, the resolved run as one of its runs has it.
        names: by label, its display name; a label that is not here is shown as it is.
        timings: by configuration, what the serial timing pass measured.
        measurement: by configuration, what the last measurement of one of its networks takes for granted, see
            `lipschitz.tasks.measurement.DiscriminatorMeasurement`; empty where it does not say.
        best_by: by configuration, the metric that chose the best step of its runs; no entry where none ended.
        provenance: commit, versions, device and data of the sweep.
        reported: by id, what its files say of each run, without measured values.
        lasting_warnings: those of ``warnings`` that ``runs.json`` holds.
        waiting: runs of the plan that were not started.
        damaged: ids of the runs of the plan that are left out because a file of theirs is damaged.
        warnings: one line for each thing that could not be read or must be known.
        chosen: the choices of settings by results, as the definition of the sweep has them.
        tuning: the results of the runs that settings were chosen by; None where there are none. The best of their
            values are biased, so only the table and the figure of settings include them.
        shown_arrays: by run, what `arrays` has read.
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
    measurement: dict[str, dict[str, Any]]
    best_by: dict[str, str]
    provenance: dict[str, Any]
    reported: dict[str, ReportedRun]
    waiting: int
    damaged: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    chosen: list[dict[str, Any]] = field(default_factory=list)
    tuning: "Results | None" = None
    shown_arrays: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    lasting_warnings: list[str] = field(default_factory=list)

    def labelled(self, frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """Return ``frame`` (one of its columns is ``run``) with ``columns`` of its runs."""
        return frame.join(self.runs[columns], on="run")

    def shown(self, label: str) -> str:
        """Return the display name of ``label``."""
        return self.names.get(label, label)

    def arrays(self, run_id: str) -> dict[str, NDArray[Any]]:
        """Return the arrays that a run saved for figures; empty where there are none that can be drawn."""
        if run_id not in self.shown_arrays:
            try:
                self.shown_arrays[run_id] = check_arrays(read_arrays(self.folder, run_id))
            except ValueError:
                # Not written by a run.
                self.shown_arrays[run_id] = {}
        return self.shown_arrays[run_id]

    def everything_reported(self) -> ReportedRuns:
        """Return what a report needs to know of the runs, those included that settings were chosen by."""
        parts = [part for part in (self, self.tuning) if part is not None]
        runs = {run_id: run for part in parts for run_id, run in part.reported.items()}
        damaged = [run_id for part in parts for run_id in part.damaged]
        return ReportedRuns(runs, self.timings, damaged, warnings=self.lasting_warnings)

    @cached_property
    def configurations(self) -> dict[tuple[str, ...], str]:
        """By the `LABELS` of a configuration, its name."""
        distinct = self.runs.drop_duplicates(LABELS)
        return dict(zip(distinct[LABELS].itertuples(index=False, name=None), distinct["configuration"], strict=True))


def load(path: Path) -> Results:
    """Read the folder of a sweep.

    A run that cannot be read is named in the warnings and left out; the others are reported.

    Raises:
        InputError: there is no sweep here, or none of its runs can be reported; or runs were made with different data.
    """
    folder = SweepFolder.open(path)
    warnings: list[str] = []
    chosen, tuning_ids = choices_of(folder, warnings)
    run_ids = folder.run_ids()
    unread: list[str] = []
    earlier = read_reported_runs(folder)
    reported, tuning = (
        read_runs(folder, ids, unread) if earlier is None else select_reported(path, earlier, ids, prefix)
        for prefix, ids in (
            ("", [run_id for run_id in run_ids if run_id not in tuning_ids]),
            (TUNING, [run_id for run_id in run_ids if run_id in tuning_ids]),
        )
    )
    if not reported.rows:
        if not tuning.rows and not unread and (path / "table.md").exists():
            raise InputError(
                f"{path}: its runs are neither in {path / 'runs'} nor in runs.json; `lipschitz sweep FILE` trains them"
            )
        raise InputError(f"{path}: nothing to report: {_none_started(len(tuning.rows))}{_unreadable(unread)}")
    warnings += unread
    lasting = [] if earlier is None else [printable(line) for line in earlier.warnings]
    warnings += lasting
    refuse_mixed_inputs(path, [*reported.rows, *tuning.rows])
    mark_chosen(reported.rows, chosen)
    mark_chosen(tuning.rows, [])
    trained = ((row["definition"]["training"], row["steps"]) for row in reported.rows)
    warnings += average_warnings((None if one.get("ema_start") else one.get("ema"), steps) for one, steps in trained)
    warnings += _mixed_origins(row["origins"] for row in [*reported.rows, *tuning.rows])
    timings = printable_json(folder.timings(warnings)) if earlier is None else earlier.timings
    if (line := drift_warning(timings)) is not None:
        warnings.append(line)
    shared: dict[str, Any] = {
        "folder": folder,
        "timings": timings,
        "provenance": _read_or_warn(folder.provenance, folder.path / "provenance.json", warnings),
        "warnings": warnings,
        "chosen": chosen,
        "lasting_warnings": lasting,
    }
    return _results_of(reported, tuning=_results_of(tuning, **shared) if tuning.rows else None, **shared)


def _results_of(read: Runs, *, folder: SweepFolder, warnings: list[str], **fields: Any) -> Results:
    """Return the tables of the runs that were read; ``warnings`` is one list for all parts of a sweep."""
    # Runs record title and direction of the metrics that are not the package's own.
    CATALOGUE.declare(metric for row in read.rows for metric in row["metrics"])
    outside_the_table = ["origins", "inputs", "sources", "outside", "metrics", "measurement", "best_by"]
    runs = separate_configurations(pd.DataFrame(read.rows).set_index("run").drop(columns=outside_the_table))
    records, outcomes = read.records, read.outcomes
    protocols = separate_protocols(runs, records, outcomes, read.facts, warnings)
    warnings += weak_judges(protocols[["dataset", "metric", "facts"]].itertuples(index=False, name=None))
    distinct = runs.drop_duplicates("configuration").to_dict("records")
    return Results(
        name=printable(str(folder.definition().get("name", folder.path.name))),
        folder=folder,
        runs=runs.drop(columns="definition"),
        records=records,
        outcomes=outcomes,
        protocols=protocols,
        sources=_merged(row["sources"] for row in read.rows),
        outside=_merged(row["outside"] for row in read.rows),
        definitions={row["configuration"]: row["definition"] for row in reversed(read.rows)},
        measurement=_facts_of_measurements(read.rows),
        best_by={row["configuration"]: row["best_by"] for row in reversed(read.rows) if row["best_by"]},
        names=display_names(
            ({str(key): value for key, value in row.items()} for row in distinct),
            printable_json(folder.definition().get("labels", {})),
        ),
        reported=read.reported,
        waiting=read.waiting,
        damaged=read.damaged,
        warnings=warnings,
        **fields,
    )


def _facts_of_measurements(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return by configuration the facts of its runs; a fact that they do not share is that of the first run with it."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        of_configuration = found.setdefault(row["configuration"], {})
        found[row["configuration"]] = row["measurement"] | of_configuration
    return found


def _mixed_origins(origins: Iterable[list[dict[str, Any]]]) -> list[str]:
    """Return a warning if runs were started or resumed with different code, versions or devices, with their number.

    Another one says which instruction sets of processors their kernels used, if these differ.
    """
    of_runs = list(origins)
    found: dict[str, Counter[str | None]] = {
        "code, versions or devices": Counter(o for of_run in of_runs for o in {_origin(one) for one in of_run}),
        "instruction sets, whose sums differ in their last bits": Counter(
            capability for of_run in of_runs for capability in {_capability(one) for one in of_run} - {None}
        ),
    }
    return [
        f"one table holds runs of different {what}: "
        + "; ".join(
            f"{origin} ({n} {'run' if n == 1 else 'runs'})"
            for origin, n in sorted(runs.items(), key=lambda one: str(one[0]))
        )
        for what, runs in found.items()
        if len(runs) > 1
    ]


def _capability(provenance: Mapping[str, Any]) -> str | None:
    """Return the instruction set of torch's kernels, such as AVX512; None where it is not known."""
    kernels = provenance.get("kernels")
    found = kernels.get("capability") if isinstance(kernels, Mapping) else None
    return found if isinstance(found, str) else None


def _origin(provenance: Mapping[str, Any]) -> str:
    changes = " with changes" if provenance.get("dirty") else ""
    torch = provenance.get("versions", {}).get("torch")
    return f"commit {str(provenance.get('commit'))[:8]}{changes}, torch {torch}, {provenance.get('device')}"


def _merged(parts: Iterable[dict[str, dict[str, str]]]) -> dict[str, dict[str, str]]:
    """Return the union of nested dicts."""
    merged: dict[str, dict[str, str]] = {}
    for part in parts:
        for name, facts in part.items():
            merged.setdefault(name, {}).update(facts)
    return merged


def _read_or_warn(read: Callable[[], dict[str, Any]], path: Path, warnings: list[str]) -> dict[str, Any]:
    """Return what ``read`` returns; an empty dict and a warning if ``path`` cannot be read."""
    try:
        return dict(printable_json(read()))
    except (OSError, ValueError) as error:
        warnings.append(f"{path}: cannot be read ({first_line(error, with_type=True)})")
        return {}


def _none_started(tuning: int) -> str:
    """Return why no run is reported; ``tuning`` runs that settings were chosen by were started."""
    if not tuning:
        return "no run was started"
    return f"no run with the chosen settings was started, only {tuning} runs that settings were chosen by"


def _unreadable(unread: list[str]) -> str:
    return f", or none can be read; the first: {unread[0]}" if unread else ""
