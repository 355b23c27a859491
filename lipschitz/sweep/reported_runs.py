"""The file ``runs.json``: what a report needs to know of each run, so that it can be made again without ``runs/``.

It holds the definition of each run, its result without the measured values, and the timings. The values are in the csv
files beside it, whose SHA-256 it holds. A results folder is committed and cited with these files alone. No torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipschitz.checksums import SHOWN, read_sealed, sha256_of_file, write_sealed
from lipschitz.errors import InputError, first_line
from lipschitz.files import open_regular, write_bytes
from lipschitz.sweep.file_shapes import check_definition, check_result, check_timing
from lipschitz.sweep.run_folder import npz_bytes
from lipschitz.sweep.store import SweepFolder

FILE = "runs.json"
ARRAYS = "arrays.npz"
"""The arrays that figures are drawn from, of the runs that figures show, each named ``<run id>/<name>``."""
_VALUES = ("last", "best", "floor", "seconds")
"""Parts of a result that hold measured values."""


@dataclass(frozen=True)
class ReportedRun:
    """One run of a report.

    Attributes:
        definition: ``run.json``.
        result: ``result.json`` without measured values; empty where the run did not end.
        status: how the run was.
        best_by: the metric that chose its best step; empty where there is none.
    """

    definition: dict[str, Any]
    result: dict[str, Any]
    status: str
    best_by: str = ""

    @classmethod
    def of(cls, definition: dict[str, Any], result: Mapping[str, Any], status: str) -> "ReportedRun":
        """Return a run by the contents of its files."""
        best_by = str((result.get("best") or {}).get("by") or "")
        return cls(definition, _without(result, *_VALUES), status, best_by)


@dataclass(frozen=True)
class ReportedRuns:
    """The content of ``runs.json``.

    Attributes:
        runs: by id, the runs that were reported.
        timings: by configuration, the latest timing.
        damaged: ids of the runs of the plan that are left out because a file of theirs is damaged.
        files: by name, the SHA-256 of each file with the measured values.
        warnings: what every report of these files must say, one line each.
    """

    runs: dict[str, ReportedRun]
    timings: dict[str, dict[str, Any]]
    damaged: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def status(self, run_id: str) -> str:
        """Return how a run of the plan was when it was reported."""
        if run_id in self.damaged:
            return "damaged"
        return self.runs[run_id].status if run_id in self.runs else "waiting"


def write_reported_runs(folder: Path, reported: ReportedRuns, files: Iterable[str]) -> None:
    """Write ``runs.json`` into the folder of a sweep, with the SHA-256 of ``files``, which are there already.

    Parts of definitions and results that several runs share are written once.
    """
    shared = _Shared()
    runs = {
        run_id: {
            "status": run.status,
            "best_by": run.best_by,
            "definition": shared.by_index(_without(run.definition, "id", "seed")),
            "seed": run.definition["seed"],
            "result": shared.by_index(run.result),
        }
        for run_id, run in reported.runs.items()
    }
    content = {
        "files": {name: sha256_of_file(folder / name) for name in files},
        "damaged": reported.damaged,
        "shared": shared.values,
        "runs": runs,
        "timings": reported.timings,
        **({"warnings": reported.warnings} if reported.warnings else {}),
    }
    write_sealed(folder / FILE, content, FILE)


def read_reported_runs(folder: SweepFolder) -> ReportedRuns | None:
    """Return what ``runs.json`` holds, or None where the folder has its ``runs/``, or has no such file.

    Raises:
        InputError: it cannot be read, or a file with measured values is not the one that was written with it.
    """
    path = folder.path / FILE
    if folder.has_runs() or not path.exists():
        return None
    try:
        content = read_sealed(path, FILE)
        shared = content["shared"]
        runs = {
            run_id: ReportedRun(
                check_definition({"id": run_id, **_joined(run["definition"], shared), "seed": run["seed"]}),
                check_result(_joined(run["result"], shared)) if run["result"] else {},
                str(run["status"]),
                str(run["best_by"]),
            )
            for run_id, run in content["runs"].items()
        }
        timings = {name: check_timing(timing) for name, timing in content["timings"].items()}
        reported = ReportedRuns(
            runs,
            timings,
            [str(run_id) for run_id in content["damaged"]],
            dict(content["files"]),
            [str(line) for line in content.get("warnings", [])],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{path}: cannot be read: {first_line(error, with_type=True)}") from None
    _check_files(folder.path, reported.files)
    return reported


def write_arrays(folder: Path, arrays: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Write the arrays of some runs, by id, to the folder of a sweep: the same bytes for the same arrays."""
    flat = {f"{run_id}/{name}": array for run_id, of_run in arrays.items() for name, array in of_run.items()}
    write_bytes(folder / ARRAYS, npz_bytes(flat))


def read_arrays(folder: SweepFolder, run_id: str) -> dict[str, NDArray[Any]]:
    """Return the arrays that a run saved for figures, from its folder or from those of an earlier report.

    Empty where there are none that can be read.
    """
    if folder.has_runs():
        return folder.run(run_id).samples() or {}
    try:
        with open_regular(folder.path / ARRAYS) as file, np.load(file, allow_pickle=False) as archive:
            start = f"{run_id}/"
            return {name.removeprefix(start): archive[name] for name in archive.files if name.startswith(start)}
    except Exception:
        # As in `RunFolder.samples`: damaged bytes make zip, zlib and NumPy raise nearly anything.
        return {}


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        try:
            actual = sha256_of_file(folder / Path(name).name)
        except OSError as error:
            raise InputError(f"{folder / name}: cannot be read: {first_line(error)}; {FILE} needs it") from None
        if actual != expected:
            hashes = f"its SHA-256 is {actual[:SHOWN]}, that in {FILE} {expected[:SHOWN]}"
            raise InputError(f"{folder / name}: not as it was written with {FILE}: {hashes}")


class _Shared:
    """Distinct values, each written once and named by its index."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def by_index(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``fields`` with the index of each value that is an object or a list."""
        return {
            name: {"shared": self._place(value)} if isinstance(value, dict | list) else value
            for name, value in fields.items()
        }

    def _place(self, value: Any) -> int:
        # Not by a canonical form: the order of fields is that in which a report names them.
        key = repr(value)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]


def _joined(fields: Mapping[str, Any], shared: list[Any]) -> dict[str, Any]:
    return {name: shared[value["shared"]] if isinstance(value, dict) else value for name, value in fields.items()}


def _without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
