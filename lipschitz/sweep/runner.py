"""Running a sweep: check everything, then write; what is left to run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from lipschitz.datasets.base import Dataset, ImageData
from lipschitz.errors import InputError
from lipschitz.features.inception import read_weights
from lipschitz.features.inception_weights import weights_file
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.provenance import device_name, provenance
from lipschitz.sweep.store import SweepFolder

DONE = ("finished", "diverged")


def check_data(sweep: Sweep, data_root: Path | None) -> dict[str, str]:
    """Load each data set of the sweep once; return its SHA-256 by label.

    Raises:
        InputError: one is missing or broken, or has too few images for a protocol.
    """
    datasets: dict[str, Dataset] = {run.dataset.label(): run.dataset for run in sweep.runs}
    hashes = {}
    for label, dataset in datasets.items():
        data = dataset.load(data_root, torch.device("cpu"))
        hashes[label] = data.hash
        protocols = (run.evaluation.protocols for run in sweep.runs if run.dataset == dataset)
        for protocol in dict.fromkeys(chain.from_iterable(protocols)):
            assert isinstance(data, ImageData)
            protocol.check(label, data.sizes)
    return hashes


def check_weights(sweep: Sweep, given: Path | None) -> None:
    """Look for the weights of the FID's Inception network, in the file ``given`` or the cache, if a run needs them.

    Raises:
        InputError: there are none, or not the published ones.
    """
    if any(run.evaluation.protocols for run in sweep.runs):
        read_weights(weights_file(given))


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
    sweep: Sweep,
    folder: SweepFolder,
    data: dict[str, str],
    data_root: Path | None,
    slots: Sequence[str],
    inception_weights: Path | None = None,
) -> list[Job]:
    """Write the sweep's definition and provenance; return the job of every run that is not finished."""
    origin = provenance(slots, len(slots), data)
    jobs = unfinished(sweep, folder, data_root, slots, origin)
    jobs = [replace(job, inception_weights=inception_weights) for job in jobs]
    with _writable(folder.path):
        # A finished sweep keeps its provenance: nothing is measured anew.
        if jobs or not folder.provenance():
            folder.write_provenance(origin)
        folder.define(sweep.definition())
    return jobs


def unfinished(
    sweep: Sweep, folder: SweepFolder, data_root: Path | None, slots: Sequence[str], origin: dict[str, Any]
) -> list[Job]:
    """Return the job of every run that is not finished, on the first of the ``slots``."""
    timed_on = device_name(slots[0])
    todo = [run for run in sweep.runs if folder.run(run.id).status() not in DONE]
    return [Job(run, folder.path, data_root, slots[0], origin, timed_on) for run in todo]


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
