"""A worker: one process that makes runs, several of them in turns where they share a device."""

import gc
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch
from pydantic import PrivateAttr

from lipschitz.datasets.base import Data
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.errors import InputError
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.process import prepare_process
from lipschitz.training.iterations import Uncapturable, new_stream
from lipschitz.training.loop import Trainer
from lipschitz.training.observers.base import Observer

PATIENCE = 0.2
"""Seconds between two looks at whether it was told to stop, of a worker that waits for runs."""


def work(job: Job, channel: Connection) -> None:
    """Train ``job.run`` to its end from wherever it stands, and in turns with it whatever the channel brings.

    Received are further jobs, and None once there are no more. Sent are

    - ("began", id), ("step", id, n) after each slice, ("warning", line);
    - ("ended", id): a run is over, one way or another;
    - ("returned", ids, runs, reason): runs that are given back with their checkpoints, since there is memory for no
      more than so many ``runs`` at once; zero says that the first of them cannot be captured, for the reason;
    - ("leaving",): what the process holds or is sent from now on it will not make, through no fault of theirs.

    A SIGTERM ends all runs after the step in hand, or replay of several, with a checkpoint. What goes wrong in one is
    written to its ``error.txt``, and costs no other anything.
    """
    prepare_process()
    Worker(channel).run(job)


@dataclass
class _Held:
    """A run in the making."""

    job: Job
    folder: ExitStack = field(default_factory=ExitStack)
    """Holds the lock of the run's folder."""
    stream: torch.cuda.Stream | None = None
    trainer: Trainer | None = None
    turns: Iterator[int] | None = None

    def current(self) -> AbstractContextManager[Any]:
        """Make the run's stream the current one for a block."""
        return torch.cuda.stream(self.stream)


class _Progress(Observer):
    """Sends the step that a run has reached to the engine, which displays it."""

    _channel: Any = PrivateAttr()
    _run_id: str = PrivateAttr()

    def __init__(self, channel: Connection, run_id: str) -> None:
        super().__init__()
        self._channel, self._run_id = channel, run_id

    def on_step(self, step: int) -> None:
        """Send the step; if the engine is gone, this process ends as well, and nobody needs it."""
        with suppress(OSError):
            self._channel.send(("step", self._run_id, step))


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
        self._held.append(_Held(first))
        while self._listen():
            for held in list(self._held):
                # One turn may have made others go.
                if held in self._held:
                    self._turn(held)

    def _listen(self) -> bool:
        """Take what was sent, waiting for it where there is nothing to do; say whether there is more to do."""
        while not self._stopping.is_set():
            if not self._channel.poll(0 if self._held else PATIENCE):
                if self._held:
                    break
                continue
            try:
                job = self._channel.recv()
            except EOFError:
                break
            if job is None:
                break
            self._held.append(_Held(job))
        return bool(self._held)

    def _turn(self, held: _Held) -> None:
        lacked_memory = ""
        try:
            if held.turns is None:
                self._begin(held)
            with held.current():
                assert held.turns is not None
                step = next(held.turns, None)
        except torch.OutOfMemoryError:
            lacked_memory = traceback.format_exc()
        except Uncapturable as error:
            self._begin_anew(held, error)
        except Exception as error:
            self._fail(held, error)
        else:
            if step is None:
                self._end(held)
        if lacked_memory:
            # Out of the handler, whose traceback holds on to what the run had.
            self._make_room(held, lacked_memory)

    def _begin(self, held: _Held) -> None:
        job, folder = held.job, held.job.folder
        self._channel.send(("began", job.run.id))
        held.folder.enter_context(folder.writing())
        folder.error.unlink(missing_ok=True)
        steps = job.steps
        if not steps:
            raise InputError(f"{job.run.configuration}: not timed, and only by its time do seconds become steps")
        held.stream = self._stream(torch.device(job.device))
        with held.current():
            task = job.build(self._loaded(job))
            stream = held.stream if job.captures else None
            trainer = Trainer(
                task,
                folder,
                [_Progress(self._channel, job.run.id), *(one.model_copy(deep=True) for one in job.observers)],
                steps=steps,
                every=job.run.evaluation.every,
                stream=stream,
                warn=lambda line: self._channel.send(("warning", line)),
            )
            engine = {"runs_at_once": job.pack, "captured": trainer.is_captured}
            origins = [*folder.origins(), {**job.provenance, **engine}]
            folder.define({**job.run.definition(steps), "provenance": origins})
            for line in trainer.restore():
                self._channel.send(("warning", line))
        held.trainer, held.turns = trainer, trainer.run(self._stopping.is_set)

    def _stream(self, device: torch.device) -> torch.cuda.Stream | None:
        """Return a stream that no other run has, on CUDA."""
        if device.type != "cuda":
            return None
        torch.cuda.set_device(device)
        return self._streams.pop() if self._streams else new_stream(device)

    def _loaded(self, job: Job) -> Data | PairData:
        """Return the job's data, which the runs of one worker share."""
        label = job.run.dataset.model_dump_json()
        if (key := f"{job.run.dataset.name()} {label}") not in self._data:
            self._data[key] = job.load()
            if torch.device(job.device).type == "cuda":
                # Runs read it on streams of their own.
                torch.cuda.synchronize()
        return self._data[key]

    def _fail(self, held: _Held, error: Exception) -> None:
        """Write why a run failed; with a device that is lost, leave: of several runs none need be the cause."""
        said = str(error) if isinstance(error, InputError) else traceback.format_exc()
        is_lost = not isinstance(error, InputError) and _is_lost(held.job.device, error)
        if is_lost:
            self._channel.send(("leaving",))
        if not is_lost or len(self._held) == 1:
            held.job.folder.fail(said)
            self._end(held)
        if is_lost:
            raise SystemExit(1) from error

    def _end(self, held: _Held) -> None:
        self._drop(held)
        self._channel.send(("ended", held.job.run.id))

    def _drop(self, held: _Held) -> None:
        self._held.remove(held)
        if held.trainer is not None:
            # A device that is lost gives nothing back, and the process ends.
            with suppress(RuntimeError):
                held.trainer.release()
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
        self._channel.send(("leaving",))
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
            # In the midst of a step there is nothing to save: its last checkpoint counts, as where saving fails.
            if held is not failed and held.trainer is not None:
                with held.current(), suppress(RuntimeError):
                    held.trainer.save()
            self._drop(held)
        self._channel.send(("returned", [held.job.run.id for held in returned], runs, reason))


def _is_lost(device: str, error: Exception) -> bool:
    """Say whether a device answers no more, as after a failed assertion: then nothing in this process can go on."""
    if isinstance(error, torch.AcceleratorError):
        return True
    if torch.device(device).type == "cuda":
        try:
            torch.cuda.synchronize(device)
        except RuntimeError:
            return True
    return False
