"""``lipschitz verify``: check every file of a results folder against its checksum, and that it is of its run."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lipschitz.checksums import is_sealed, unsealed
from lipschitz.commands.status import holders_of
from lipschitz.errors import first_line, printable, shortened
from lipschitz.files import check_regular, read_json
from lipschitz.sweep.run_folder import HASHES, OVER, RunFolder
from lipschitz.sweep.store import SweepFolder
from lipschitz.training import checkpoint
from lipschitz.training.checkpoint import Earlier

FILES, RUNS, OLD = "files", "runs", "files of an earlier version, without a checksum to check"
ABSENT = "runs of sweep.json without a folder"
RUNNING, STRAYS, SET_ASIDE = "runs not checked, as they are running", "runs not in sweep.json", "files set aside"
RECORD = ("step", "seconds", "metric", "value")
"""Keys of a record."""


def verify(folder: Path) -> bool:
    """Print a line per fault, then a line with counts; return whether there is no fault. Nothing is changed.

    Raises:
        InputError: there is no sweep in the folder, or its ``sweep.json`` cannot be read.
    """
    check = Check(folder)
    check.all()
    for line in check.faults:
        print(printable(line))
    counts = [f"{check.counts[what]} {what}" for what in (RUNS, FILES)]
    further = [
        f"{check.counts[what]} {what}" for what in (ABSENT, OLD, RUNNING, STRAYS, SET_ASIDE) if check.counts[what]
    ]
    print(", ".join([*counts, f"{len(check.faults)} damaged", *further]))
    return not check.faults


class Check:
    """Checks the files of a results folder, and counts them; one of an earlier version, unsealed, is no fault."""

    def __init__(self, folder: Path) -> None:
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self._sweep = SweepFolder.open(folder)

    def all(self) -> None:
        """Check every file that is read again: not tables and plots, which ``lipschitz report`` writes from them."""
        path = self._sweep.path
        self._json(path / "sweep.json", "sweep.json")
        if (path / "provenance.json").exists():
            self._json(path / "provenance.json", "provenance.json")
        for timing in sorted((path / "timing").glob("*.json")):
            self._json(timing, timing.name)
        planned = set(map(str, self._sweep.run_ids()))
        there = {run.path.name for run in self._sweep.runs()}
        self.counts[ABSENT] = len(planned - there)
        holders = holders_of(self._sweep)
        for run in self._sweep.runs():
            is_running = run.is_locked() or run.run_id in holders
            self.counts.update({RUNS: 1, STRAYS: run.path.name not in planned, RUNNING: is_running})
            self.counts[SET_ASIDE] += sum(".broken" in path.name for path in run.path.iterdir())
            if not is_running:
                self._run(run)

    def _run(self, run: RunFolder) -> None:
        path, name = run.path, run.path.name
        definition: dict[str, Any] = {}
        # A run that failed, or was stopped, before it began has none.
        begun = [other for place in (path, *run.attempts()) for other in place.iterdir() if not other.is_dir()]
        if any(other.suffix != ".txt" and other.name not in ("lock", "heartbeat.json") for other in begun):
            definition = self._json(run.place("run.json"), f"{name}/run.json")
        if definition:
            with self._checking(path / "run.json"):
                _check_definition(definition, name)
        result: dict[str, Any] = {}
        if (path / "result.json").exists():
            result = self._json(path / "result.json", f"{name}/result.json")
        if result:
            with self._checking(path / "result.json"):
                if result.get("status") not in OVER:
                    raise ValueError(f"its status is {result.get('status')!r:.20}")
        hashes = result.get(HASHES, {})
        damaged = {
            other: reason for other, reason in run.damage(networks=True) if other.name in {*hashes, "records.jsonl"}
        }
        self.faults += [f"{other}: {reason}" for other, reason in damaged.items()]
        present = {file for file in ("records.jsonl", "samples.npz") if run.place(file).exists()}
        self.counts[FILES] += len({*hashes, *present})
        self.counts[OLD] += len(present - hashes.keys()) if result else 0
        for file in sorted(present):
            if (place := run.place(file)) not in damaged:
                with self._checking(place):
                    _check_records(run, definition) if file == "records.jsonl" else _check_arrays(place)
        if run.networks.exists() and run.networks not in damaged:
            self.counts[FILES] += run.networks.name not in hashes
            with self._checking(run.networks):
                _check_networks(run.networks)
        for writer in (run, *(RunFolder(other) for other in run.attempts())):
            for other in (writer.checkpoint, writer.previous_checkpoint):
                if other.exists():
                    self.counts[FILES] += 1
                    with self._checking(other):
                        sees = writer.path / "records.jsonl" not in damaged
                        _check_checkpoint(other, writer, name, definition, records=sees)

    def _json(self, path: Path, name: str) -> dict[str, Any]:
        """Return the object in a file without its checksum; empty, with a fault, where it is damaged."""
        self.counts[FILES] += 1
        content: dict[str, Any] = {}
        with self._checking(path):
            value = read_json(path)
            content = unsealed(value, name)
            self.counts[OLD] += not is_sealed(value)
        return content

    @contextmanager
    def _checking(self, path: Path) -> Iterator[None]:
        """Turn an error of the block into a fault of the file ``path``."""
        try:
            yield
        except Earlier:
            self.counts[OLD] += 1
        except Exception as error:
            # Damaged bytes make zip, zlib and NumPy raise nearly anything.
            self.faults.append(f"{path}: {shortened(first_line(error), 150)}")


def _check_definition(definition: dict[str, Any], name: str) -> None:
    """Check that ``run.json`` is that of the run ``name``, and that its configuration and seed are."""
    begins = f"{str(definition.get('configuration')).rpartition('-')[0]}-s{definition.get('seed')}-"
    if definition.get("id") != name:
        raise ValueError(f"it is that of run {definition.get('id')}")
    if not name.startswith(begins):
        raise ValueError(f"its configuration and seed make an id that begins with {begins}")


def _check_records(run: RunFolder, definition: dict[str, Any]) -> None:
    steps = definition.get("steps")
    for record in run.records():
        if not (isinstance(record, dict) and all(key in record for key in RECORD)):
            raise ValueError("a line is no record")
        if isinstance(steps, int) and not 0 <= record["step"] <= steps:
            raise ValueError(f"a record is of step {record['step']}, of {steps} in all")


def _check_networks(path: Path) -> None:
    check_regular(path)
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} is damaged")


def _check_arrays(path: Path) -> None:
    check_regular(path)
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            archive[name]


def _check_checkpoint(path: Path, place: RunFolder, name: str, definition: dict[str, Any], *, records: bool) -> None:
    """Check that a checkpoint is whole and of the run and, if ``records``, that the records are those it has seen."""
    state = checkpoint.read(path)
    # Where run.json is damaged, that is a fault of its own.
    ours = {"inputs": state.get("identity", {}), "steps": state.get("steps", 0)} | definition
    checkpoint.check(state, {**ours["inputs"], "run": name}, ours["steps"])
    if records:
        checkpoint.check_records(state, place.recorded(state["size"]))
