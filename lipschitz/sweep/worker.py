"""One process, one run: what an engine starts for each run, and for each configuration to be timed."""

import os
import resource
import signal
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from lipschitz.errors import InputError
from lipschitz.sweep.run import Run
from lipschitz.sweep.store import RunFolder, SweepFolder
from lipschitz.tasks.generation import Generation
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.quality import metrics_of
from lipschitz.training.clock import time_calls
from lipschitz.training.loop import Trainer

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

    def build(self) -> Generation:
        """Load the data and build the task on the job's device."""
        run, device = self.run, torch.device(self.device)
        return Generation(
            run.dataset.load(self.data_root, device),
            run.model,
            run.constraints,
            LOSSES[run.loss],
            run.setting,
            seed=run.seed,
            batch_size=run.training.batch_size,
            samples=run.evaluation.samples,
            gradient_samples=run.evaluation.gradient_samples,
            selection=run.evaluation.select or metrics_of(run.dataset)[0],
            device=device,
        )


def work(job: Job, channel: Connection) -> None:
    """Train ``job.run`` to its end from wherever it stands, sending ("step", n) after each slice and ("warning", line).

    A SIGTERM ends it after the slice in hand, with a checkpoint. What goes wrong is written to ``error.txt``; exit
    status 1.
    """
    stopping = _prepare_process()
    folder = job.folder
    with folder.writing():
        folder.error.unlink(missing_ok=True)
        try:
            folder.define({**job.run.definition(), "provenance": job.provenance})
            trainer = Trainer(job.build(), folder, steps=job.run.training.steps, every=job.run.evaluation.every)
            for line in trainer.restore():
                channel.send(("warning", line))
            for step in trainer.run():
                channel.send(("step", step))
                if stopping.is_set() and step < trainer.steps:
                    trainer.save()
                    return
        except Exception as error:
            folder.fail(str(error) if isinstance(error, InputError) else traceback.format_exc())
            raise SystemExit(1) from None


def time_configuration(job: Job, channel: Connection) -> None:
    """Time one iteration of ``job.run``, alone on the device, and keep it under the run's configuration."""
    _prepare_process()
    before = _peak_memory(job.device)
    timing = timing_of(job, warm_up=WARM_UP, repeats=REPEATS)
    facts = {"peak_memory": _peak_memory(job.device) - before, "device": job.provenance["device"]}
    SweepFolder(job.sweep).write_timing(job.run.configuration, {**timing, **facts, "labels": job.run.labels()})


def timing_of(job: Job, *, warm_up: int, repeats: int) -> dict[str, Any]:
    """Return the time of each part of an iteration, by metric name, and ``n_dis``."""
    task = job.build()
    timings = {
        metric: time_calls(part, task.device, warm_up=warm_up, repeats=repeats)._asdict()
        for metric, part in task.parts().items()
    }
    return {**timings, "n_dis": job.run.setting.n_dis}


def _prepare_process() -> threading.Event:
    """Set up a worker: one thread, deaf to the terminal's Ctrl-C, told to stop by SIGTERM, dead when its parent is."""
    torch.set_num_threads(1)
    stopping = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    threading.Thread(target=_die_with_parent, daemon=True).start()
    return stopping


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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
