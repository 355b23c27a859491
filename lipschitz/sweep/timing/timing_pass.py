"""The timing pass: time one iteration of every configuration, alone on its device, before the first run of a sweep."""

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from lipschitz.sweep.engine.base import TIMED_OUT, Engine, Measurement, Progress
from lipschitz.sweep.engine.job import Job, uncaptured_warning
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.one_round import LACKED_MEMORY, Round, time_round
from lipschitz.sweep.timing.shared_device import measure_evaluation
from lipschitz.sweep.timing.throughput import measure_packs
from lipschitz.sweep.timing.timing_files import drift_warning
from lipschitz.training.clock import median_interval

ROUNDS = 3
"""How often the pass times all configurations, each time in a new process."""
AT_ONCE = {"cpu": 16, "cuda": 8}
"""How many configurations are built, timed in turn and released together, in one process, by type of device."""
NO_PACKS = {"uncaptured": "there was no memory for one run, or the process that was to capture it died"}
"""What is kept of a configuration whose process died before it measured a pack."""


def timing_groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return one job for each configuration, those with one task, data set and batch size in a group.

    A report compares models and budgets within a group, so these are timed in turn.
    """
    groups: dict[str, dict[str, Job]] = {}
    for job in jobs:
        run = job.run
        key = json.dumps([run.task.label(), run.dataset.entry(), run.training.batch_size])
        groups.setdefault(key, {}).setdefault(run.configuration, job)
    return [list(group.values()) for group in groups.values()]


def groups_to_time(jobs: Sequence[Job], folder: SweepFolder) -> list[list[Job]]:
    """Return the `timing_groups` of the configurations that have no timing on the jobs' kind of device yet.

    On a GPU that includes the packs of a captured configuration, unless the site says how many runs share a worker.
    """

    def is_timed(job: Job) -> bool:
        timing = folder.timing(job.run.configuration, job.timed_on)
        if timing is None or job.timed_on.startswith("cpu") or "uncaptured" in timing:
            return timing is not None
        return "launched" in timing and ("pack" in timing or job.site.pack is not None)

    return timing_groups([job for job in jobs if not is_timed(job)])


def batches(group: Sequence[Job]) -> list[Sequence[Job]]:
    """Return a group in batches of at most `AT_ONCE` configurations, which take turns in one process."""
    size = AT_ONCE["cuda" if group[0].device.startswith("cuda") else "cpu"]
    return [group[first : first + size] for first in range(0, len(group), size)]


def time_configurations(groups: Sequence[Sequence[Job]], engine: Engine, progress: Progress) -> None:
    """Time all groups one after the other, on a device that is otherwise idle, `ROUNDS` times.

    Each round starts with another configuration. One that misses a round, or ends its process, is not timed. Timings
    are written after the last round. On CUDA each configuration is first captured as a CUDA graph, and measured with
    growing numbers of runs at once, unless the site says how many share a worker; and an evaluation of it is measured.
    """
    rounds: dict[str, list[Round]] = {}
    packs: dict[str, dict[str, Any]] = {}
    jobs = [job for group in groups for job in group]

    def call(job: Job, measurement: Measurement) -> dict[str, Any]:
        progress.started(job)
        found = engine.call(measurement, job)
        progress.ended(job)
        return found

    for job in jobs:
        if torch.device(job.device).type == "cuda":
            packs[job.run.configuration] = call(job, partial(measure_packs, job.site.pack)) or {**NO_PACKS}
            if reason := packs[job.run.configuration].get("uncaptured"):
                progress.warned(uncaptured_warning(job, reason))
            packs[job.run.configuration] |= call(job, measure_evaluation)
    captured = [name for name, found in packs.items() if "captured" in found]
    batch = Batch(captured, call)
    for index in range(ROUNDS):
        for group in groups:
            first = index * len(group) // ROUNDS
            for in_turn in batches([*group[first:], *group[:first]]):
                for configuration, measured in batch.time(in_turn).items():
                    rounds.setdefault(configuration, []).append(measured)
    timings = {}
    for job in jobs:
        name = job.run.configuration
        if len(rounds.get(name, [])) < ROUNDS:
            progress.warned(f"not timed: {name}{batch.lost.get(name, '')}")
            continue
        kept = {key: value for key, value in packs.get(name, {}).items() if key not in ("captured", TIMED_OUT)}
        timings[name] = summarise_rounds(job, rounds[name]) | kept
        SweepFolder(job.sweep).write_timing(name, timings[name], joins=job.site.joins)
    if line := drift_warning(timings):
        progress.warned(line)


class Batch:
    """Times batches of configurations, each in one process; finds the one that ends or hangs its process.

    Where memory is lacking, from then on at most half as many share a process.

    Args:
        captured: configurations that are timed as CUDA graphs, too.
        call: calls a measurement in a new process on the device of a job.
    """

    def __init__(self, captured: Sequence[str], call: Callable[[Job, Measurement], dict[str, Any]]) -> None:
        self._captured, self._call = captured, call
        self._most = max(AT_ONCE.values())
        self.lost: dict[str, str] = {}
        """Configurations that ended or hung their process, with how. They are not tried again."""

    def time(self, batch: Sequence[Job]) -> dict[str, Round]:
        """Return a round of each configuration of ``batch``; after a process was lost, of each in its own process.

        A configuration whose first iterations hang is known, and the others are timed together again.
        """
        jobs = [job for job in batch if job.run.configuration not in self.lost]
        if not jobs:
            return {}
        if len(jobs) > self._most:
            return self._in_parts(jobs, self._most)
        found = self._call(jobs[0], partial(time_round, self._captured, jobs))
        if "rounds" in found:
            rounds: dict[str, Round] = found["rounds"]
            return rounds
        if LACKED_MEMORY in found and len(jobs) > 1:
            self._most = len(jobs) // 2
            return self.time(jobs)
        hung, at = bool(found.get(TIMED_OUT)), found.get("at")
        if len(jobs) == 1 or (hung and at):
            name = jobs[0].run.configuration if len(jobs) == 1 else str(at)
            ended = "needs more memory than there is" if LACKED_MEMORY in found else "ended its process"
            self.lost[name] = f": it {f'hung for {jobs[0].site.timeout:g} s' if hung else ended}"
            return self.time(jobs)
        return self._in_parts(jobs, 1)

    def _in_parts(self, jobs: Sequence[Job], size: int) -> dict[str, Round]:
        parts = [jobs[first : first + size] for first in range(0, len(jobs), size)]
        return {name: measured for part in parts for name, measured in self.time(part).items()}


def summarise_rounds(job: Job, rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the timing of a configuration: the time of each part, ``n_dis``, device, labels, on CUDA ``peak_memory``.

    Of each round the fastest quarter of the calls counts, which other programs disturbed least. The time of a part is
    the median of these in ms. Its interval, from ``low`` to ``high``, spans two: the distribution-free 95 % interval of
    that median, which assumes independent calls, and the medians of rounds, which differ where the machine's speed
    drifts (the range of three independent medians contains the true one in 75 % of cases). ``rounds`` has these medians
    by part. Earlier versions counted all calls; their timings have no ``counted``.

    The time under a part's name is that of the iterations that train. Where these are captured as a CUDA graph,
    ``launched`` has the times of uncaptured calls, and ``ms_iteration`` is the time of a whole iteration.
    """
    launched, medians = _summarise_parts([each["calls"] for each in rounds])
    measured = [each["peak_memory"] for each in rounds if "peak_memory" in each]
    timing: dict[str, Any] = {
        **launched,
        **({"peak_memory": max(measured)} if measured else {}),
        "n_dis": job.run.setting.n_dis,
        "rounds": medians,
        "counted": "the fastest quarter of the calls of each round",
        "device": job.timed_on,
        "labels": job.run.labels(),
    }
    if not all("captured" in each for each in rounds):
        return timing
    replayed, medians = _summarise_parts([each["captured"] for each in rounds])
    return {**timing, **replayed, "rounds": medians, "launched": launched}


def _summarise_parts(rounds: Sequence[dict[str, list[float]]]) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Return by part its time over all rounds, and the medians of rounds."""
    parts = {name: [_fastest_quarter(each[name]) for each in rounds] for name in rounds[0]}
    medians = {name: [float(np.median(calls)) for calls in seen] for name, seen in parts.items()}
    timings = {}
    for name, seen in parts.items():
        pooled = median_interval([call for calls in seen for call in calls])
        low, high = min(pooled.low, *medians[name]), max(pooled.high, *medians[name])
        timings[name] = pooled._replace(low=low, high=high)._asdict()
    return timings, medians


def _fastest_quarter(calls: Sequence[float]) -> list[float]:
    return sorted(calls)[: math.ceil(len(calls) / 4)]
