"""A run that a worker is making: its lock, its place among the worker's runs, and the signs of life that it gives."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import PrivateAttr

from lipschitz.errors import InputError
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.joining.members import is_shut_out
from lipschitz.sweep.provenance import kernels_changed
from lipschitz.sweep.run_folder import CHECKPOINTS_KEPT
from lipschitz.sweep.store import SweepFolder
from lipschitz.training.loop import CHECKPOINT_SECONDS, Trainer
from lipschitz.training.observers import Observer
from lipschitz.training.task import Task

BEAT_SECONDS = 1.0
"""Shortest time between two heartbeats of a run, besides those at evaluations."""
LOOK_SECONDS = 1.0
"""Shortest time between two looks whether another attempt has ended the run."""
SAY_SECONDS = 1.0
"""How long a lock is waited for without a word: a process that is told to end needs a moment."""


class Channel(Protocol):
    """What connects a worker with its engine, as `multiprocessing.connection.Connection` does."""

    def poll(self, timeout: float, /) -> bool:
        """Say whether something can be received, after ``timeout`` seconds at most."""

    def recv(self) -> Any:
        """Return the next job, or None if there are no more; raise EOFError if there is no engine."""

    def send(self, message: Any, /) -> None:
        """Send a message; `lipschitz.sweep.engine.worker.work` lists them."""


@dataclass
class ActiveRun:
    """A run that a worker is making."""

    job: Job
    lock: ExitStack = field(default_factory=ExitStack)
    """Holds the lock of the run's folder."""
    waits_since: float | None = None
    """When it was first tried to take the lock, by `time.monotonic`."""
    looked: float = 0.0
    """When it was last looked whether another attempt has ended the run, by `time.monotonic`."""
    waits_aloud: bool = False
    """Whether it was said for whom the run waits."""
    stream: torch.cuda.Stream | None = None
    trainer: Trainer | None = None
    slices: Iterator[int] | None = None
    """Each item is the step reached after one slice of training."""

    def on_stream(self) -> AbstractContextManager[Any]:
        """Make the run's stream the current one for a block."""
        return torch.cuda.stream(self.stream)

    def is_superseded(self) -> bool:
        """Say, about once a second, whether another attempt has ended the run, or a sweep by itself is to make it."""
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS:
            return False
        self.looked = now
        folder = self.job.folder
        if folder.is_over() or folder.is_alone:
            return folder.is_over()
        return is_shut_out(SweepFolder(self.job.sweep).members, folder.token)

    def take_lock(self, warn: Callable[[str], object]) -> bool:
        """Take the lock of the run's folder if it is free, and say whether it was; ``warn`` of whom the run waits for.

        An attempt of a process that joined needs no lock: nobody else writes to its folder.

        Raises:
            InputError: it has waited for longer than the site's time-out.
        """
        folder, now = self.job.folder, time.monotonic()
        if not folder.is_alone:
            folder.open()
            return True
        if self.lock.enter_context(folder.writing(wait=False)):
            return True
        self.lock.close()
        self.waits_since = self.waits_since or now
        waited = now - self.waits_since
        if waited > self.job.site.timeout:
            raise InputError(f"{folder.path}: locked by {folder.holder()} for {waited:.0f} s; end that process")
        if waited > SAY_SECONDS and not self.waits_aloud:
            self.waits_aloud = True
            warn(f"{folder.path}: waiting for {folder.holder()}, which still holds the lock of this run")
        return False

    def trainer_of(
        self, task: Task, steps: int, inputs: dict[str, str], channel: Channel, before_end: Callable[[], object]
    ) -> Trainer:
        """Return the trainer of the run, on the current CUDA stream and at its last checkpoint; write ``run.json``.

        Args:
            task: what is trained.
            steps: iterations in all.
            inputs: SHA-256 of the data and of the networks that judge the run.
            channel: to the engine.
            before_end: see `Trainer`.
        """
        job, folder, seconds = self.job, self.job.folder, self.job.site.checkpoint_seconds

        def warn(line: str) -> None:
            channel.send(("warning", line))

        trainer = Trainer(
            task,
            folder,
            [SignOfLife(channel, job, steps), *(one.model_copy(deep=True) for one in job.site.observers)],
            steps=steps,
            every=job.run.evaluation.every,
            identity={"run": job.run.id, **inputs},
            stream=self.stream if job.captures else None,
            warn=warn,
            checkpoint_seconds=CHECKPOINT_SECONDS if seconds is None else seconds,
            keep_checkpoints=job.site.keep_checkpoints,
            before_end=before_end,
        )
        engine = {"runs_at_once": job.pack, "captured": trainer.is_captured}
        if job.site.keep_checkpoints:
            engine[CHECKPOINTS_KEPT] = True
        before = folder.origins()
        origins = [*before, {**job.provenance, **engine}]
        lost = trainer.restore()
        # A process that could not restore the run has not trained it.
        folder.define({**job.run.definition(steps), "inputs": inputs, "provenance": origins})
        for line in lost:
            warn(line)
        if trainer.step and (changed := kernels_changed(before, job.provenance)):
            warn(f"{folder.path}: {changed}; the last bits of numbers may differ")
        return trainer


class SignOfLife(Observer):
    """Tells the engine how far a run has come, and writes the heartbeat in the run's folder."""

    _channel: Any = PrivateAttr()
    _job: Job = PrivateAttr()
    _steps: int = PrivateAttr()
    _step: int = PrivateAttr(0)
    _beat_at: float = PrivateAttr(0.0)
    _began: tuple[int, float] | None = PrivateAttr(None)
    _quality: tuple[str, float] | None = PrivateAttr(None)

    def __init__(self, channel: Channel, job: Job, steps: int) -> None:
        super().__init__()
        self._channel, self._job, self._steps = channel, job, steps

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        """Write the step at which the run starts or is resumed."""
        self._began = (step, time.time())
        self._beat(step)

    def on_step(self, step: int) -> None:
        """Send the step. If the engine has ended, this process ends too."""
        with suppress(OSError):
            self._channel.send(("step", self._job.run.id, step))
        if time.monotonic() - self._beat_at > BEAT_SECONDS:
            self._beat(step)

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Say that the evaluation is done, and what it found."""
        if (name := self._job.quality) in values:
            self._quality = (name, values[name])
        with suppress(OSError):
            self._channel.send(("alive",))
        self._beat(step)

    def _beat(self, step: int) -> None:
        self._beat_at = time.monotonic()
        self._job.folder.heartbeat.write(step, self._steps, self._began, self._quality)
