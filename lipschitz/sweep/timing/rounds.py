"""The serial timing pass: what one iteration of each configuration takes, alone on the device."""

import json
import resource
import sys
from collections.abc import Callable, Collection, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lipschitz.datasets.base import Data
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.files import write_json
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.process import prepare_process
from lipschitz.training.clock import median_interval, milliseconds, synchronize
from lipschitz.training.iterations import TOGETHER, CudaGraph, capture, new_stream
from lipschitz.training.task import Task

ROUNDS = 3
"""Times that the pass goes through all configurations, each in a new process."""
WARM_UP, REPEATS = 3, 15
"""Calls of each part of an iteration before it is timed, and timed, in one round."""
DRIFT = 0.1
"""By how much the medians of rounds may differ before it is said."""

Round = dict[str, Any]
"""What one round measured of a configuration: ``calls`` in ms by the name of the part, ``captured``, the same of its
captured parts, and ``peak_memory`` in MiB."""
Calls = dict[str, Callable[[], None]]
"""By the name of the part."""


def groups_of(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return one job for each configuration, those of one task, data set and batch size together.

    Models and budgets may differ inside a group: what a report compares was timed in turn.
    """
    groups: dict[str, dict[str, Job]] = {}
    for job in jobs:
        run = job.run
        key = json.dumps([run.task.label(), run.dataset.entry(), run.training.batch_size])
        groups.setdefault(key, {}).setdefault(run.configuration, job)
    return [list(group.values()) for group in groups.values()]


def time_round(captured: Collection[str], jobs: Sequence[Job], answer: Path, _: Job, channel: Connection) -> None:
    """Time one iteration of each of ``jobs`` in turn, alone on the device; write the rounds to the file ``answer``.

    The configurations in ``captured`` are captured too.
    """
    prepare_process()
    write_json(answer, rounds_of(jobs, warm_up=WARM_UP, repeats=REPEATS, captured=captured))


def rounds_of(jobs: Sequence[Job], *, warm_up: int, repeats: int, captured: Collection[str] = ()) -> dict[str, Round]:
    """Return one round by configuration, without those that cannot make their first iterations: their runs say why.

    The jobs are of one data set, which is loaded once. They take turns, so that a machine whose speed drifts is as fast
    or slow for one as for the other. Memory, the data set aside, is on CUDA the most that building a job and its first
    iterations allocate; on the CPU it is what they add to the largest resident set so far, which leaves out what a
    larger job before them had and gave back.

    On CUDA a call is one of `TOGETHER` that follow each other, launched or in a graph: waiting for the device counts
    for as much in either.

    Raises:
        Uncapturable: one in ``captured`` is not; then there is no round of any.
    """
    device = torch.device(jobs[0].device)
    data = jobs[0].load()
    synchronize(device)
    stream = new_stream(device)
    with torch.cuda.stream(stream):
        # One more of the first stays alive, so that no job is charged with what a process loads once.
        _spare = _warm(jobs[0], data, warm_up)
        launched: dict[str, Calls] = {}
        replayed: dict[str, Calls] = {}
        rounds: dict[str, Round] = {}
        for job in jobs:
            before, name = _memory(job.device), job.run.configuration
            if task := _warm(job, data, warm_up):
                launched[name] = {part: repeated(call, device) for part, call in task.parts().items()}
                rounds[name] = {"peak_memory": _peak_memory(job.device) - before}
                if name in captured:
                    replayed[name] = {part: replay(task, call) for part, call in parts_and_whole(task).items()}
        for key, calls in (("calls", launched), ("captured", replayed)):
            for name, seen in in_turns(calls, device, repeats).items():
                rounds[name][key] = seen
    return rounds


def parts_and_whole(task: Task) -> Calls:
    """Return the parts of an iteration, and ``ms_iteration``, all of it."""
    progress = torch.full((), 0.5, dtype=torch.float64, device=task.device)
    return {**task.parts(), "ms_iteration": lambda: task.step(progress)}


def replay(task: Task, call: Callable[[], None]) -> Callable[[], None]:
    """Return what replays `TOGETHER` calls, captured on the current stream, on which they were warmed up.

    Raises:
        Uncapturable: they do what no graph can hold.
    """
    graph = CudaGraph(torch.cuda.current_stream(), list(task.random_streams()))
    capture(graph, lambda: _repeat(call, TOGETHER))
    return graph.replay


def repeated(call: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Return what makes as many calls as `in_turns` takes one for."""
    return call if device.type == "cpu" else lambda: _repeat(call, TOGETHER)


def _repeat(call: Callable[[], None], times: int) -> None:
    for _ in range(times):
        call()


def in_turns(calls: dict[str, Calls], device: torch.device, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Return the milliseconds of each call, all in turn; on CUDA each makes `TOGETHER`, and counts for one."""
    seen: dict[str, dict[str, list[float]]] = {name: {part: [] for part in parts} for name, parts in calls.items()}
    at_once = 1 if device.type == "cpu" else TOGETHER
    for _ in range(repeats):
        for name, parts in calls.items():
            for part, call in parts.items():
                seen[name][part].append(milliseconds(call, device) / at_once)
    return seen


def timing_of(job: Job, rounds: Sequence[Round]) -> dict[str, Any]:
    """Return what is kept of a configuration: the time of each part, ``peak_memory``, ``n_dis``, device and labels.

    A part's time is the median of all calls in ms. Its interval, from ``low`` to ``high``, spans two: the
    distribution-free 95 % interval of that median, which takes all calls for independent, and the medians of rounds,
    which stay apart where the machine's speed drifts (the range of three independent ones holds the true median in 75 %
    of cases). ``rounds`` has these medians by part.

    A time under its own name is that of the iterations that train: where they are captured ``launched`` keeps the
    others, and ``ms_iteration`` is the whole of one.
    """
    launched, medians = _timings([each["calls"] for each in rounds])
    timing: dict[str, Any] = {
        **launched,
        "peak_memory": max(each["peak_memory"] for each in rounds),
        "n_dis": job.run.setting.n_dis,
        "rounds": medians,
        "device": job.timed_on,
        "labels": job.run.labels(),
    }
    if not all("captured" in each for each in rounds):
        return timing
    replayed, medians = _timings([each["captured"] for each in rounds])
    return {**timing, **replayed, "rounds": medians, "launched": launched}


def _timings(rounds: Sequence[dict[str, list[float]]]) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Return by part its time over all rounds, and the medians of rounds."""
    parts = {name: [each[name] for each in rounds] for name in rounds[0]}
    medians = {name: [float(np.median(calls)) for calls in seen] for name, seen in parts.items()}
    timings = {}
    for name, seen in parts.items():
        pooled = median_interval([call for calls in seen for call in calls])
        low, high = min(pooled.low, *medians[name]), max(pooled.high, *medians[name])
        timings[name] = pooled._replace(low=low, high=high)._asdict()
    return timings, medians


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
