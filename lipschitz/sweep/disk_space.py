"""Estimate the disk space that runs will take, and refuse a sweep that clearly has too little."""

import shutil
from collections.abc import Callable, Sequence

import torch
from torch import nn

from lipschitz.constraints.base import with_start
from lipschitz.errors import InputError
from lipschitz.models.base import PairModel
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.engine.job import Job

KEPT = 2
"""Copies of the weights in ``networks.pt``: the last and the best."""
IN_CHECKPOINT = 4
"""Copies of the weights, or of something as large, in a checkpoint: networks, Adam's two moments, the best networks."""
CHECKPOINTS = 3
"""Checkpoints of a run in training: the newest, the one before it, and the one that is being written."""


def check_space(jobs: Sequence[Job], warn: Callable[[str], object]) -> None:
    """Compare the space that ``jobs`` will take with what is free; call ``warn`` if there is less.

    Raises:
        InputError: there is less than half of it.
    """
    folder, needed = jobs[0].sweep, needed_bytes(jobs)
    free = shutil.disk_usage(folder).free
    line = f"{folder}: {_size(needed)} are needed for {len(jobs)} runs, and {_size(free)} are free"
    if free < needed / 2:
        raise InputError(f"{line}; make space, or use another --out")
    if free < needed:
        warn(line)


def needed_bytes(jobs: Sequence[Job]) -> int:
    """Return about how many bytes ``jobs`` will write: networks and, while they train, checkpoints."""
    sizes: dict[str, int] = {}
    weights = []
    for job in jobs:
        key = f"{job.run.model!r} {job.run.dataset!r} {job.run.task!r}"
        if key not in sizes:
            sizes[key] = _weight_bytes(job.run)
        weights.append(sizes[key])
    site = jobs[0].site
    kept = KEPT + (CHECKPOINTS - 1) * IN_CHECKPOINT * site.keep_checkpoints
    at_once = sorted(weights, reverse=True)[: site.workers * (site.pack or 1)]
    return kept * sum(weights) + CHECKPOINTS * IN_CHECKPOINT * sum(at_once)


def _weight_bytes(run: Run) -> int:
    """Return the bytes of the networks of a run, without making them; zero where a model cannot be built so."""
    model, shape, classes = with_start(run.model, run.constraints), run.dataset.shape, run.dataset.classes
    nets: list[nn.Module] = []
    try:
        with torch.device("meta"):
            if run.task.has_generator and isinstance(model, PairModel):
                networks = model.build(shape, classes)
                nets = [networks.generator, networks.discriminator]
            else:
                nets = [run.task.network(model, run.dataset)]
    except Exception:
        # A model from outside may raise anything; its runs are only not counted.
        return 0
    return sum(tensor.nbytes for net in nets for tensor in (*net.parameters(), *net.buffers()))


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
