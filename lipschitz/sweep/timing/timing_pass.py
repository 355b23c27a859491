"""The timing pass over a sweep's configurations, how many runs of each share a worker, and how long the rest takes."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Observer, run_jobs
from lipschitz.sweep.engine.packing import facts_of, time_packs
from lipschitz.sweep.engine.process import set_up_torch
from lipschitz.sweep.runner import unfinished
from lipschitz.sweep.store import SweepFolder
from lipschitz.sweep.timing.rounds import ROUNDS, Round, drift_warning, groups_of, rounds_of, time_round, timing_of
from lipschitz.sweep.timing.timing_files import iteration_ms, seconds_of_an_iteration

PATIENCE = 30.0
"""Seconds that a dry run may spend on timing."""


def untimed(jobs: Sequence[Job], folder: SweepFolder, pack: int | None = None) -> list[list[Job]]:
    """Return one job for each configuration that was not timed on the jobs' kind of device yet, by what takes turns.

    What is captured was also tried with several runs at once, unless ``pack`` says how many there are to be.
    """

    def is_timed(job: Job) -> bool:
        timing = folder.timing(job.run.configuration, job.timed_on)
        if timing is None or job.timed_on.startswith("cpu") or "uncaptured" in timing:
            return timing is not None
        return "launched" in timing and ("pack" in timing or pack is not None)

    return groups_of([job for job in jobs if not is_timed(job)])


def time_configurations(groups: Sequence[Sequence[Job]], observer: Observer, pack: int | None = None) -> None:
    """Time all groups one after the other, the device otherwise idle, and all of them again in each further round.

    What was not measured in every round counts as not timed; nothing is kept before the last round is over. In each
    round another configuration of a group is the first. On CUDA each is captured before, and tried with ever more runs
    at once, unless ``pack`` says how many there are to be.
    """
    rounds: dict[str, list[Round]] = {}
    packs: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory() as scratch:

        def answer_of(job: Job, target: Callable[[Path, Job, Connection], None]) -> dict[str, Any]:
            answer = Path(scratch) / f"{job.run.id}.json"
            answer.unlink(missing_ok=True)
            run_jobs([job], [job.device], observer, target=partial(target, answer))
            # A worker that dies leaves none.
            return dict(json.loads(answer.read_text())) if answer.exists() else {}

        for job in (job for group in groups for job in group if torch.device(job.device).type == "cuda"):
            packs[job.run.configuration] = facts_of(answer_of(job, partial(time_packs, pack)))
            if reason := packs[job.run.configuration].get("uncaptured"):
                observer.warned(f"{job.run.configuration}: not captured, and slower for it: {reason}")
        captured = [name for name, found in packs.items() if "captured" in found]
        for index in range(ROUNDS):
            for group in groups:
                start = index * len(group) // ROUNDS
                turns = [*group[start:], *group[:start]]
                for configuration, measured in answer_of(group[0], partial(time_round, captured, turns)).items():
                    rounds.setdefault(configuration, []).append(measured)
    timings = {}
    for job in (job for group in groups for job in group):
        name = job.run.configuration
        if len(rounds.get(name, [])) == ROUNDS:
            kept = {key: value for key, value in packs.get(name, {}).items() if key != "captured"}
            timings[name] = timing_of(job, rounds[name]) | kept
            SweepFolder(job.sweep).write_timing(name, timings[name])
        else:
            observer.warned(f"not timed: {name}")
    if line := drift_warning(timings):
        observer.warned(line)


def packed(jobs: Sequence[Job], pack: int | None) -> list[Job]:
    """Return ``jobs`` with how many like each a worker holds: ``pack``, or what was measured to be best, or one.

    What is not captured has a process of its own: its launches would wait for those of the others.
    """

    def of(timing: dict[str, Any]) -> int:
        return 1 if "uncaptured" in timing else pack or int(timing.get("pack", 1))

    return [replace(job, pack=of(timing := job.timing or {}), captures="uncaptured" not in timing) for job in jobs]


def training_seconds(jobs: Sequence[Job], timings: dict[str, dict[str, Any]]) -> float | None:
    """Return the training time of ``jobs`` on one worker, evaluation aside; None where one was not timed.

    Where runs share a worker, each counts as its share of the time that they take together.

    What was timed on the jobs' device comes before ``timings``, by configuration.
    """
    total = 0.0
    for job in jobs:
        timing = job.timing or timings.get(job.run.configuration)
        if timing is None:
            return None
        total += job.run.training.steps_at(iteration_ms(timing)) * seconds_of_an_iteration(timing, job.pack)
    return total


def estimate(sweep: Sweep, folder: SweepFolder, data_root: Path | None, slots: Sequence[str]) -> float | None:
    """Return the training time of what is not finished on one worker, each run alone, writing nothing.

    What the timing pass did not measure is timed here and now by a few calls, on CUDA uncaptured; None once that takes
    `PATIENCE` seconds.
    """
    timings = {}
    jobs = unfinished(sweep, folder, data_root, slots, {})
    deadline = time.monotonic() + PATIENCE
    set_up_torch()
    for group in untimed(jobs, folder):
        if time.monotonic() > deadline:
            return None
        rounds = rounds_of(group, warm_up=1, repeats=3)
        for job in group:
            if job.run.configuration in rounds:
                timings[job.run.configuration] = timing_of(job, [rounds[job.run.configuration]])
    return training_seconds(jobs, timings)
