"""Running a sweep: check everything, then write; time each configuration alone; run what is not finished."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lipschitz.datasets.base import Dataset
from lipschitz.errors import InputError
from lipschitz.sweep.local import Observer, run_jobs
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.run import iteration_ms
from lipschitz.sweep.spec import Sweep
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing import time_together, timings_of
from lipschitz.sweep.worker import Job

PATIENCE = 30.0
"""Seconds that a dry run may spend on timing."""

DONE = ("finished", "diverged")


def check_data(sweep: Sweep, data_root: Path | None) -> dict[str, str]:
    """Load each data set of the sweep once; return its SHA-256 by label.

    Raises:
        InputError: one is missing or broken.
    """
    datasets: dict[str, Dataset] = {run.dataset.label(): run.dataset for run in sweep.runs}
    return {label: dataset.load(data_root, torch.device("cpu")).hash for label, dataset in datasets.items()}


@contextmanager
def claimed(sweep: Sweep, path: Path, *, force: bool) -> Iterator[SweepFolder]:
    """Hold the sweep's folder for the block, having checked that it can be written and holds no other sweep.

    Raises:
        InputError: another sweep is at work there; it was made by another definition and ``force`` is not set; no room.
    """
    folder = SweepFolder(path)
    # Looked at before anything is made, so that a refusal leaves nothing behind.
    if not force:
        _refuse_other_definition(folder, sweep)
    with _writable(path):
        path.mkdir(parents=True, exist_ok=True)
        holding = folder.writing()
        free = holding.__enter__()
    try:
        if not free:
            raise InputError(f"{path}: another sweep is at work in this folder; wait for it, or give another --out")
        yield folder
    finally:
        holding.__exit__(None, None, None)


def jobs_of(
    sweep: Sweep, folder: SweepFolder, data: dict[str, str], data_root: Path | None, slots: Sequence[str]
) -> list[Job]:
    """Write the sweep's definition and provenance; return the job of every run that is not finished."""
    origin = provenance(slots, len(slots), data)
    todo = [run for run in sweep.runs if folder.run(run.id).status() not in DONE]
    with _writable(folder.path):
        # A finished sweep keeps its provenance: nothing is measured anew.
        if todo or not folder.provenance():
            folder.write_provenance(origin)
        folder.define(sweep.definition())
    return [Job(run, folder.path, data_root, slots[0], origin) for run in todo]


def untimed(jobs: Sequence[Job], folder: SweepFolder) -> list[list[Job]]:
    """Return one job for each configuration that was not timed yet, in groups that differ in the constraint alone."""
    known = folder.timings()
    groups: dict[str, dict[str, Job]] = {}
    for job in jobs:
        if job.run.configuration not in known:
            rest = {**job.run.canonical(), "constraints": None, "seed": None}
            groups.setdefault(json.dumps(rest), {}).setdefault(job.run.configuration, job)
    return [list(group.values()) for group in groups.values()]


def time_configurations(groups: Sequence[Sequence[Job]], observer: Observer) -> None:
    """Time one group after the other, the device otherwise idle; inside a group the configurations take turns."""
    for group in groups:
        run_jobs([group[0]], [group[0].device], observer, target=partial(time_together, group))


def training_seconds(jobs: Sequence[Job], timings: dict[str, dict[str, Any]]) -> float | None:
    """Return the training time of ``jobs`` on one worker, evaluation aside; None where one was not timed."""
    total = 0.0
    for job in jobs:
        timing = timings.get(job.run.configuration)
        if timing is None:
            return None
        total += job.run.training.steps_of(timing) * iteration_ms(timing) / 1000
    return total


def estimate(sweep: Sweep, folder: SweepFolder, data_root: Path | None, slots: Sequence[str]) -> float | None:
    """Return the training time of what is not finished on one worker, writing nothing.

    What the timing pass did not measure is timed here and now by a few calls; None once that takes `PATIENCE` seconds.
    """
    timings = folder.timings()
    todo = [run for run in sweep.runs if folder.run(run.id).status() not in DONE]
    jobs = [Job(run, folder.path, data_root, slots[0], {}) for run in todo]
    deadline = time.monotonic() + PATIENCE
    torch.set_num_threads(1)
    for group in untimed(jobs, folder):
        if time.monotonic() > deadline:
            return None
        for job, timing in zip(group, timings_of(group, warm_up=1, repeats=3), strict=True):
            if timing is not None:
                timings[job.run.configuration] = timing
    return training_seconds(jobs, timings)


def _refuse_other_definition(folder: SweepFolder, sweep: Sweep) -> None:
    try:
        there = folder.definition()
    except (OSError, ValueError):
        return
    changes = list(_differences(there.get("sweep"), sweep.content))
    if changes:
        raise InputError(
            f"{folder.path}: made by another definition of '{there.get('name')}': {'; '.join(changes)}; "
            "give another --out, or --force to go on here with the new one (runs that both have are kept)"
        )


def _differences(there: Any, here: Any, place: str = "") -> Iterator[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}):
            yield from _differences(there.get(key), here.get(key), f"{place}.{key}".lstrip("."))
    elif there != here:
        yield f"{place} was {there}, is {here}"


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: results cannot be written here: {error.strerror or error}; give another --out"
        ) from None
