"""A worker: one process that makes runs, several of them in turns where they share a device."""

import gc
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from lipschitz.datasets.base import Data
from lipschitz.datasets.pairs import PairData
from lipschitz.errors import InputError
from lipschitz.sweep.job import Job
from lipschitz.sweep.process import prepare_process
from lipschitz.training.iterations import Uncapturable
from lipschitz.training.loop import Trainer

PATIENCE = 0.2
"""Seconds between two looks at whether it was told to stop, of a worker that waits for runs."""


def work(job: Job, channel: Connection) -> None:
    """Train ``job.run`` to its end from wherever it stands, and in turns with it whatever the channel brings.

    Received are further jobs, and None once there are no more. Sent are ("step", id, n) after each slice, ("warning",
    line), ("ended", id) for a run that is over, one way or another, and ("returned", ids, runs, reason) for runs that
    the worker gives back with their checkpoints, since there is memory for no more than so many ``runs`` at once. Zero
    says that the first of them cannot be captured, for the reason. A worker that gives back all is about to end.

    A SIGTERM ends all runs after the step in hand, with a checkpoint. What goes wrong in one is written to its
    ``error.txt``, and costs no other anything.
    """
    prepare_process()
    Worker(channel).run(job)


@dataclass
class _Held:
    """A run in the making."""

    job: Job
    folder: ExitStack
    """Holds the lock of the run's folder."""
    stream: torch.cuda.Stream | None
    trainer: Trainer | None = None
    turns: Iterator[int] | None = None

    def current(self) -> AbstractContextManager[Any]:
        """Make the run's stream the current one for a block."""
        return torch.cuda.stream(self.stream)


class Worker:
    """Holds runs and gives each a turn after the other: on a GPU the others' slices go on meanwhile."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._stopping = threading.Event()
        self._held: list[_Held] = []
        self._data: dict[str, Data | PairData] = {}
        # A stream that a run has left is the next one's: torch has 32 of them, and begins again with the first.
        self._streams: list[torch.cuda.Stream] = []
        signal.signal(signal.SIGTERM, lambda *_: self._stopping.set())

    def run(self, first: Job) -> None:
        """Make ``first`` and what follows it, until the channel says that there is no more."""
        self._take(first)
        while self._listen():
            for held in list(self._held):
                # One turn may have made others go.
                if held in self._held:
                    self._turn(held)

    def _listen(self) -> bool:
        """Take what was sent, waiting for it where there is nothing to do; say whether there is more to do."""
        while True:
            while self._channel.poll(0 if self._held or self._stopping.is_set() else PATIENCE):
                try:
                    job = self._channel.recv()
                except EOFError:
                    return bool(self._held)
                if job is None:
                    return bool(self._held)
                self._take(job)
            if self._held or self._stopping.is_set():
                return bool(self._held)

    def _take(self, job: Job) -> None:
        device = torch.device(job.device)
        stream = None
        if device.type == "cuda":
            torch.cuda.set_device(device)
            stream = self._streams.pop() if self._streams else torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        folder = ExitStack()
        folder.enter_context(job.folder.writing())
        job.folder.error.unlink(missing_ok=True)
        self._held.append(_Held(job, folder, stream))

    def _turn(self, held: _Held) -> None:
        lacked_memory = ""
        try:
            with held.current():
                step = next(held.turns or self._begin(held), None)
        except torch.OutOfMemoryError:
            lacked_memory = traceback.format_exc()
        except Uncapturable as error:
            self._begin_anew(held, error)
        except Exception as error:
            if len(self._held) > 1 and isinstance(error, torch.AcceleratorError):
                # The device is lost to this process, and it need not be this run's fault: each goes on alone.
                raise SystemExit(1) from error
            held.job.folder.fail(str(error) if isinstance(error, InputError) else traceback.format_exc())
            self._end(held)
        else:
            if step is None:
                self._end(held)
            else:
                self._channel.send(("step", held.job.run.id, step))
        if lacked_memory:
            # Out of the handler, whose traceback holds on to what the run had.
            self._make_room(held, lacked_memory)

    def _begin(self, held: _Held) -> Iterator[int]:
        job, folder = held.job, held.job.folder
        steps = job.steps
        if not steps:
            raise InputError(f"{job.run.configuration}: not timed, and only by its time do seconds become steps")
        stream = held.stream if job.captures else None
        task = job.build(self._loaded(job))
        trainer = Trainer(task, folder, steps=steps, every=job.run.evaluation.every, stream=stream)
        engine = {"runs_at_once": job.pack, "captured": trainer.is_captured}
        folder.define({**job.run.definition(steps), "provenance": [*folder.origins(), {**job.provenance, **engine}]})
        for line in trainer.restore():
            self._channel.send(("warning", line))
        held.trainer, held.turns = trainer, trainer.run(self._stopping.is_set)
        return held.turns

    def _loaded(self, job: Job) -> Data | PairData:
        """Return the job's data, which the runs of one worker share."""
        label = job.run.dataset.model_dump_json()
        if (key := f"{job.run.dataset.name()} {label}") not in self._data:
            self._data[key] = job.load()
            if torch.device(job.device).type == "cuda":
                # Runs read it on streams of their own.
                torch.cuda.synchronize()
        return self._data[key]

    def _end(self, held: _Held) -> None:
        self._drop(held)
        self._channel.send(("ended", held.job.run.id))

    def _drop(self, held: _Held) -> None:
        self._held.remove(held)
        held.trainer = held.turns = None
        if held.stream is not None:
            self._streams.append(held.stream)
        held.folder.close()

    def _make_room(self, failed: _Held, why: str) -> None:
        """Give back the run that lacked memory and, of the others, the last ones, until half are left."""
        if len(self._held) == 1:
            failed.job.folder.fail(f"out of memory, alone in its process:\n{why}")
            self._end(failed)
            return
        keep = len(self._held) // 2
        others = [held for held in self._held if held is not failed]
        self._give_back([failed, *others[keep:]], failed, keep, why.strip().splitlines()[-1])
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _begin_anew(self, failed: _Held, error: Uncapturable) -> None:
        """Give back every run, and end this process, which a broken capture leaves in doubt."""
        at_once = len(self._held)
        if error.lacked_memory and at_once == 1:
            failed.job.folder.fail(f"out of memory, alone in its process: {error}")
            self._end(failed)
        else:
            others = [held for held in self._held if held is not failed]
            self._give_back([failed, *others], failed, at_once // 2 if error.lacked_memory else 0, str(error))
        raise SystemExit(0)

    def _give_back(self, returned: list[_Held], failed: _Held, runs: int, reason: str) -> None:
        for held in returned:
            # In the midst of a step there is nothing to save: its last checkpoint counts.
            if held is not failed and held.trainer is not None:
                with held.current(), suppress(torch.OutOfMemoryError):
                    held.trainer.save()
            self._drop(held)
        self._channel.send(("returned", [held.job.run.id for held in returned], runs, reason))
