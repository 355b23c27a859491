"""The serial timing pass: what one iteration of each configuration takes, alone on the device."""

import json
import resource
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lipschitz.datasets.base import Data
from lipschitz.datasets.pairs import PairData
from lipschitz.files import write_json
from lipschitz.sweep.job import Job
from lipschitz.sweep.process import prepare_process
from lipschitz.training.clock import median_interval, milliseconds
from lipschitz.training.task import Task

ROUNDS = 3
"""Times that the pass goes through all configurations, each in a new process."""
WARM_UP, REPEATS = 3, 15
"""Calls of each part of an iteration before it is timed, and timed, in one round."""
DRIFT = 0.1
"""By how much the medians of rounds may differ before it is said."""

Round = dict[str, Any]
"""What one round measured of a configuration: ``calls`` in ms by the name of the part, and ``peak_memory`` in MiB."""


def groups_of(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return one job for each configuration, those of one task, data set and batch size together.

    Models and budgets may differ inside a group: what a report compares was timed in turn.
    """
    groups: dict[str, dict[str, Job]] = {}
    for job in jobs:
        run = job.run
        key = json.dumps([run.task, run.dataset.entry(), run.training.batch_size])
        groups.setdefault(key, {}).setdefault(run.configuration, job)
    return [list(group.values()) for group in groups.values()]


def time_round(jobs: Sequence[Job], answer: Path, _: Job, channel: Connection) -> None:
    """Time one iteration of each of ``jobs`` in turn, alone on the device; write the rounds to the file ``answer``."""
    prepare_process()
    write_json(answer, rounds_of(jobs, warm_up=WARM_UP, repeats=REPEATS))


def rounds_of(jobs: Sequence[Job], *, warm_up: int, repeats: int) -> dict[str, Round]:
    """Return one round by configuration, without those that cannot make their first iterations: their runs say why.

    The jobs are of one data set, which is loaded once. They take turns, so that a machine whose speed drifts is as fast
    or slow for one as for the other. Memory, the data set aside, is on CUDA the most that building a job and its first
    iterations allocate; on the CPU it is what they add to the largest resident set so far, which leaves out what a
    larger job before them had and gave back.
    """
    data = jobs[0].load()
    # One more of the first stays alive, so that no job is charged with what a process loads once.
    _spare = _warm(jobs[0], data, warm_up)
    tasks: dict[str, Task] = {}
    rounds: dict[str, Round] = {}
    for job in jobs:
        before = _memory(job.device)
        if task := _warm(job, data, warm_up):
            tasks[job.run.configuration] = task
            memory = _peak_memory(job.device) - before
            rounds[job.run.configuration] = {"calls": {name: [] for name in task.parts()}, "peak_memory": memory}
    for _ in range(repeats):
        for configuration, task in tasks.items():
            for name, part in task.parts().items():
                rounds[configuration]["calls"][name].append(milliseconds(part, task.device))
    return rounds


def timing_of(job: Job, rounds: Sequence[Round]) -> dict[str, Any]:
    """Return what is kept of a configuration: the time of each part, ``peak_memory``, ``n_dis``, device and labels.

    A part's time is the median of all calls in ms. Its interval, from ``low`` to ``high``, spans two: the
    distribution-free 95 % interval of that median, which takes all calls for independent, and the medians of rounds,
    which stay apart where the machine's speed drifts (the range of three independent ones holds the true median in 75 %
    of cases). ``rounds`` has these medians by part.
    """
    parts = {name: [each["calls"][name] for each in rounds] for name in rounds[0]["calls"]}
    medians = {name: [float(np.median(calls)) for calls in seen] for name, seen in parts.items()}
    timing: dict[str, Any] = {}
    for name, seen in parts.items():
        pooled = median_interval([call for calls in seen for call in calls])
        low, high = min(pooled.low, *medians[name]), max(pooled.high, *medians[name])
        timing[name] = pooled._replace(low=low, high=high)._asdict()
    return timing | {
        "peak_memory": max(each["peak_memory"] for each in rounds),
        "n_dis": job.run.setting.n_dis,
        "rounds": medians,
        "device": job.timed_on,
        "labels": job.run.labels(),
    }


def drift_warning(timings: dict[str, dict[str, Any]]) -> str | None:
    """Return one line on the medians of rounds that differ by more than `DRIFT`, or None where none do."""
    drifts = [
        (max(medians) / min(medians) - 1, f"{name} of {configuration}", medians)
        for configuration, timing in timings.items()
        for name, medians in timing["rounds"].items()
    ]
    drifted = [drift for drift in drifts if drift[0] > DRIFT]
    if not drifted:
        return None
    most, what, medians = max(drifted)
    return (
        f"{len(drifted)} of {len(drifts)} timings differ by over {DRIFT:.0%} between rounds, as on a device in use; "
        f"most, by {most:.0%}, {what} ({min(medians):.3g} to {max(medians):.3g} ms)"
    )


def _warm(job: Job, data: Data | PairData, calls: int) -> Task | None:
    try:
        task = job.build(data)
        for part in task.parts().values():
            for _ in range(calls):
                part()
    except Exception:
        # A user's method can raise anything, and must not cost the others their timing.
        return None
    return task


def _memory(device: str) -> float:
    """Return the memory in MiB above which a peak counts: on CUDA what is allocated, on the CPU the largest so far."""
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    return _peak_memory(device)


def _peak_memory(device: str) -> float:
    """Return the largest memory so far in MiB: allocated by torch on CUDA, the process's resident set on the CPU."""
    if torch.device(device).type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
