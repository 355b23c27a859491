"""Choose how many runs share a device, and estimate the time left, from the timings of a sweep."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from lipschitz.extensions.origin import load_from
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.job import Job, unfinished_jobs
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.one_round import measure_round
from lipschitz.sweep.timing.prediction import evaluations
from lipschitz.sweep.timing.shared_device import EVALUATION, Shared, kind_of
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


class Estimate(NamedTuple):
    """Seconds that the workers of a site take for runs."""

    training: float
    evaluation: float | None
    """None where an evaluation was not measured."""

    @property
    def total(self) -> float:
        """Seconds of training and of those evaluations that were measured."""
        return self.training + (self.evaluation or 0.0)


def estimate(
    jobs: Sequence[Job], timings: Mapping[str, dict[str, Any]], shared: Shared | None = None
) -> Estimate | None:
    """Return the time of ``jobs`` on the workers of their site; None where one was not timed.

    Where runs share a worker, each counts as its share of the time that they take together. Workers that share a GPU
    train at the same time and then evaluate at the same time, as measured in ``shared``. Those that were not measured
    train no faster than one worker, and evaluate without slowing each other down.

    Args:
        timings: by configuration; used for a job without a timing on its own kind of device.
    """
    training, evaluation = 0.0, 0.0
    is_measured = True
    for job in jobs:
        timing = job.timing or timings.get(job.run.configuration)
        if timing is None:
            return None
        steps = job.run.training.steps_at(iteration_ms(timing))
        faster, oftener = _speedups(job, shared or {})
        training += steps * seconds_of_an_iteration(timing, job.pack) / faster
        if EVALUATION in timing:
            evaluation += evaluations(steps, job.run.evaluation.every) * timing[EVALUATION] / oftener
        else:
            is_measured = False
    return Estimate(training, evaluation if is_measured else None)


def _speedups(job: Job, shared: Shared) -> tuple[float, float]:
    """Return how many times as fast as one worker those of the job's site train, and evaluate."""
    site = job.site
    devices = len(set(site.devices))
    if not site.devices[0].startswith("cuda"):
        return site.workers, site.workers
    workers = site.workers // devices
    found = shared.get(kind_of(job), {})
    if workers not in found:
        return devices, site.workers
    one, several = found[1], found[workers]
    faster = several.iterations_per_second / one.iterations_per_second
    return devices * faster, site.workers * one.evaluation_seconds / several.evaluation_seconds


def estimate_training(sweep: Sweep, folder: SweepFolder, site: Site) -> Estimate | None:
    """Return the training time of the unfinished runs, each alone on its worker. Nothing is written.

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
    found = estimate(jobs, timings)
    return found and found._replace(evaluation=None)
