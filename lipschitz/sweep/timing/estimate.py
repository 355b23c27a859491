"""Choose how many runs share a device, and estimate the time left, from the timings of a sweep."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lipschitz.extensions.origin import load_from
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.job import Job, unfinished_jobs
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.one_round import measure_round
from lipschitz.sweep.timing.timing_files import iteration_ms, seconds_of_an_iteration
from lipschitz.sweep.timing.timing_pass import batches, groups_to_time, summarise_rounds

MAX_SECONDS = 30.0
"""Seconds after which a dry run times no further group."""


def with_packs(jobs: Sequence[Job]) -> list[Job]:
    """Return ``jobs`` with the number of runs that share a worker: the site's, else the timing pass's best, else one.

    A run that cannot be captured as a CUDA graph has a worker to itself: its kernel launches would wait for those of
    other runs. So has a run with code from outside the package that does not say that it may share one.
    """

    def pack_of(job: Job, timing: dict[str, Any]) -> int:
        is_alone = "uncaptured" in timing or not shares_process(job)
        return 1 if is_alone else job.site.pack or int(timing.get("pack", 1))

    timings = [job.timing or {} for job in jobs]
    return [
        replace(job, pack=pack_of(job, timing), captures="uncaptured" not in timing)
        for job, timing in zip(jobs, timings, strict=True)
    ]


def shares_process(job: Job) -> bool:
    """Say whether every class of a run that is from outside the package says that it may share a process."""
    return all(load_from(origin).shares_process for _, origin in job.run.outside())


def training_seconds(jobs: Sequence[Job], timings: dict[str, dict[str, Any]]) -> float | None:
    """Return the training time of ``jobs`` on one worker, without evaluations; None where one was not timed.

    Where runs share a worker, each counts as its share of the time that they take together.

    Args:
        timings: by configuration; used for a job without a timing on its own kind of device.
    """
    total = 0.0
    for job in jobs:
        timing = job.timing or timings.get(job.run.configuration)
        if timing is None:
            return None
        total += job.run.training.steps_at(iteration_ms(timing)) * seconds_of_an_iteration(timing, job.pack)
    return total


def estimate_training_seconds(sweep: Sweep, folder: SweepFolder, site: Site) -> float | None:
    """Return the training time of the unfinished runs on one worker, each run alone. Nothing is written.

    Configurations without a timing are timed in this process with a few calls, on CUDA uncaptured. None where that
    takes more than `MAX_SECONDS`.
    """
    timings = {}
    jobs = unfinished_jobs(sweep, folder, site, {})
    deadline = time.monotonic() + MAX_SECONDS
    set_up_torch()
    for batch in (batch for group in groups_to_time(jobs, folder) for batch in batches(group)):
        if time.monotonic() > deadline:
            return None
        rounds = measure_round(batch, warm_up=1, repeats=3)
        for job in batch:
            if job.run.configuration in rounds:
                timings[job.run.configuration] = summarise_rounds(job, [rounds[job.run.configuration]])
    return training_seconds(jobs, timings)
