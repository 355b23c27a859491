"""The serial timing pass: what one iteration of each configuration takes, alone on the device."""

import resource
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch

from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.worker import Job, prepare_process
from lipschitz.training.clock import median_interval, milliseconds
from lipschitz.training.task import Task

WARM_UP, REPEATS = 5, 40
"""Calls of each part of an iteration before it is timed, and timed."""


def time_together(jobs: Sequence[Job], _: Job, channel: Connection) -> None:
    """Time one iteration of each of ``jobs`` in turn, alone on the device; keep it under the configuration."""
    prepare_process()
    for job, timing in zip(jobs, timings_of(jobs, warm_up=WARM_UP, repeats=REPEATS), strict=True):
        if timing is not None:
            facts = {"device": job.provenance["device"], "labels": job.run.labels()}
            SweepFolder(job.sweep).write_timing(job.run.configuration, {**timing, **facts})


def timings_of(jobs: Sequence[Job], *, warm_up: int, repeats: int) -> list[dict[str, Any] | None]:
    """Return, for each job, the time of each part of an iteration by metric name, ``peak_memory`` and ``n_dis``.

    The jobs take turns, so that a machine whose speed drifts is as fast or slow for one as for the other. Memory is
    what building a job and its first iterations add to the largest so far. None stands for a job that cannot make its
    first iterations: its runs will say why.
    """
    # One more of the first stays alive, so that no job is charged with what a process loads once.
    _spare = _warm(jobs[0], warm_up)
    tasks: list[Task | None] = []
    memory = []
    for job in jobs:
        before = _peak_memory(job.device)
        tasks.append(_warm(job, warm_up))
        memory.append(_peak_memory(job.device) - before)
    values: list[dict[str, list[float]]] = [{name: [] for name in task.parts()} if task else {} for task in tasks]
    for _ in range(repeats):
        for task, seen in zip(tasks, values, strict=True):
            if task is not None:
                for name, part in task.parts().items():
                    seen[name].append(milliseconds(part, task.device))
    return [
        {name: median_interval(calls)._asdict() for name, calls in seen.items()}
        | {"peak_memory": peak, "n_dis": job.run.setting.n_dis}
        if task
        else None
        for job, task, seen, peak in zip(jobs, tasks, values, memory, strict=True)
    ]


def _warm(job: Job, calls: int) -> Task | None:
    try:
        task = job.build()
        for part in task.parts().values():
            for _ in range(calls):
                part()
    except Exception:
        # A user's method can raise anything, and must not cost the others their timing.
        return None
    return task


def _peak_memory(device: str) -> float:
    """Return the largest memory so far in MiB: allocated by torch on CUDA, the process's resident set on the CPU."""
    if torch.device(device).type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
