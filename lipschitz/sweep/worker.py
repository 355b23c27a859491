"""One process, one run: what an engine starts for each run, and for each configuration to be timed."""

import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from lipschitz.errors import InputError
from lipschitz.sweep.run import Run
from lipschitz.sweep.store import RunFolder, SweepFolder
from lipschitz.tasks.catalogue import TASKS
from lipschitz.tasks.losses import LOSSES
from lipschitz.training.clock import median_interval, milliseconds
from lipschitz.training.loop import Trainer
from lipschitz.training.task import Task

WARM_UP, REPEATS = 5, 40
"""Calls of each part of an iteration before it is timed, and timed."""


@dataclass(frozen=True)
class Job:
    """A run to be made, and where."""

    run: Run
    sweep: Path
    data_root: Path | None
    device: str
    provenance: dict[str, Any]

    @property
    def folder(self) -> RunFolder:
        """The folder of the run's results."""
        return SweepFolder(self.sweep).run(self.run.id)

    @property
    def steps(self) -> int:
        """How many iterations the run has: by its budget, or, of seconds, as frozen when it began.

        Zero where there is nothing that was timed, by which seconds would become steps.
        """
        if self.run.training.steps is None:
            with suppress(OSError, ValueError, KeyError):
                return int(self.folder.definition()["steps"])
        return self.run.training.steps_of(SweepFolder(self.sweep).timing(self.run.configuration))

    def build(self) -> Task:
        """Load the data and build the task on the job's device."""
        run, device, task = self.run, torch.device(self.device), TASKS[self.run.task]
        return task.build(
            run.dataset.load(self.data_root, device),
            run.model,
            run.constraints,
            LOSSES[run.loss],
            run.setting,
            seed=run.seed,
            batch_size=run.training.batch_size,
            samples=run.evaluation.samples,
            gradient_samples=run.evaluation.gradient_samples,
            selection=run.evaluation.select or task.metrics_of(run.dataset)[0],
            device=device,
        )


def work(job: Job, channel: Connection) -> None:
    """Train ``job.run`` to its end from wherever it stands, sending ("step", n) after each slice and ("warning", line).

    A SIGTERM ends it after the step in hand, with a checkpoint. What goes wrong is written to ``error.txt``; exit
    status 1.
    """
    _prepare_process()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    folder = job.folder
    with folder.writing():
        folder.error.unlink(missing_ok=True)
        try:
            steps = job.steps
            if not steps:
                raise InputError(f"{job.run.configuration}: not timed, and only by its time do seconds become steps")
            folder.define({**job.run.definition(steps), "provenance": [*folder.origins(), job.provenance]})
            trainer = Trainer(job.build(), folder, steps=steps, every=job.run.evaluation.every)
            for line in trainer.restore():
                channel.send(("warning", line))
            for step in trainer.run(stopping.is_set):
                channel.send(("step", step))
        except Exception as error:
            folder.fail(str(error) if isinstance(error, InputError) else traceback.format_exc())
            raise SystemExit(1) from None


def time_together(jobs: Sequence[Job], _: Job, channel: Connection) -> None:
    """Time one iteration of each of ``jobs`` in turn, alone on the device; keep it under the configuration."""
    _prepare_process()
    for job, timing in zip(jobs, timings_of(jobs, warm_up=WARM_UP, repeats=REPEATS), strict=True):
        facts = {"device": job.provenance["device"], "labels": job.run.labels()}
        SweepFolder(job.sweep).write_timing(job.run.configuration, {**timing, **facts})


def timings_of(jobs: Sequence[Job], *, warm_up: int, repeats: int) -> list[dict[str, Any]]:
    """Return, for each job, the time of each part of an iteration by metric name, ``peak_memory`` and ``n_dis``.

    The jobs take turns, so that a machine whose speed drifts is as fast or slow for one as for the other. Memory is
    what building a job and its first iterations add to the largest so far.
    """
    # One more of the first stays alive, so that no job is charged with what a process loads once.
    _spare = _warm(jobs[0], warm_up)
    tasks, memory = [], []
    for job in jobs:
        before = _peak_memory(job.device)
        tasks.append(_warm(job, warm_up))
        memory.append(_peak_memory(job.device) - before)
    values: list[dict[str, list[float]]] = [{name: [] for name in task.parts()} for task in tasks]
    for _ in range(repeats):
        for task, seen in zip(tasks, values, strict=True):
            for name, part in task.parts().items():
                seen[name].append(milliseconds(part, task.device))
    return [
        {name: median_interval(calls)._asdict() for name, calls in seen.items()}
        | {"peak_memory": peak, "n_dis": job.run.setting.n_dis}
        for job, seen, peak in zip(jobs, values, memory, strict=True)
    ]


def _warm(job: Job, calls: int) -> Task:
    task = job.build()
    for part in task.parts().values():
        for _ in range(calls):
            part()
    return task


def _prepare_process() -> None:
    """Set up a worker: one thread, deaf to the terminal's Ctrl-C, dead when its parent is."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    # A parent that was killed cannot stop its workers, and an orphan would hold the run's folder.
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _peak_memory(device: str) -> float:
    """Return the largest memory so far in MiB: allocated by torch on CUDA, the process's resident set on the CPU."""
    if torch.device(device).type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
