"""A worker process: trains runs, several in turn where they share a device, and records why one failed or is requeued.

A worker exits when its parent exits, when its device is lost, and after a failed capture of a CUDA graph.
"""

import gc
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol

import torch
from pydantic import PrivateAttr

from lipschitz.datasets.base import Data, Dataset
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.errors import InputError
from lipschitz.files import full_disk
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.process import prepare_process
from lipschitz.sweep.inputs import inputs_of, refuse_changed_inputs
from lipschitz.sweep.provenance import kernels_changed
from lipschitz.sweep.store import CHECKPOINTS_KEPT
from lipschitz.training.iterations import Uncapturable, new_stream
from lipschitz.training.loop import CHECKPOINT_SECONDS, Trainer
from lipschitz.training.observers import Observer

POLL_SECONDS = 0.2
"""How often a worker without runs looks whether it was told to stop."""


def work(job: Job, channel: Connection) -> None:
    """Train ``job.run``, and take turns with jobs received on the channel.

    The worker receives further jobs, and None once there are no more. It sends

    - ("began", id), ("step", id, n) after each slice of steps, ("warning", line);
    - ("ended", id): a run is over, whether it finished, failed or stopped;
    - ("returned", ids, limit, reason): jobs that are given back, to be started again from their checkpoints, because
      there is memory for no more than ``limit`` runs at once. A limit of zero says that the first of them cannot be
      captured as a CUDA graph, for the reason;
    - ("full", line): the disk is full, and a run was stopped, to be resumed once there is space;
    - ("leaving",): the worker is about to exit, and makes no run that it still has or receives.

    On SIGTERM all runs stop after the current step or replay, with a checkpoint. The error of a run is written to its
    ``error.txt``, and the other runs continue.
    """
    prepare_process()
    worker = Worker(channel)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run(job)


class Channel(Protocol):
    """What connects a worker with its engine, as `multiprocessing.connection.Connection` does."""

    def poll(self, timeout: float, /) -> bool:
        """Say whether something can be received, after ``timeout`` seconds at most."""

    def recv(self) -> Any:
        """Return the next job, or None if there are no more; raise EOFError if there is no engine."""

    def send(self, message: Any, /) -> None:
        """Send a message; `work` lists them."""


@dataclass
class ActiveRun:
    """A run that a worker is making."""

    job: Job
    lock: ExitStack = field(default_factory=ExitStack)
    """Holds the lock of the run's folder."""
    stream: torch.cuda.Stream | None = None
    trainer: Trainer | None = None
    slices: Iterator[int] | None = None
    """Each item is the step reached after one slice of training."""

    def on_stream(self) -> AbstractContextManager[Any]:
        """Make the run's stream the current one for a block."""
        return torch.cuda.stream(self.stream)


class _Progress(Observer):
    """Sends the step that a run has reached to the engine, which displays it."""

    _channel: Any = PrivateAttr()
    _run_id: str = PrivateAttr()

    def __init__(self, channel: Channel, run_id: str) -> None:
        super().__init__()
        self._channel, self._run_id = channel, run_id

    def on_step(self, step: int) -> None:
        """Send the step. If the engine has ended, this process ends too."""
        with suppress(OSError):
            self._channel.send(("step", self._run_id, step))


class Worker:
    """Trains one slice of each of its runs in turn. On a GPU the slices of the other runs continue meanwhile."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stopping = threading.Event()
        self._runs: list[ActiveRun] = []
        self._data: dict[tuple[type[Dataset], str], Data | PairData] = {}
        # The stream of a run that is over is given to the next: torch has 32 of them, and then repeats the first.
        self._streams: list[torch.cuda.Stream] = []

    def stop(self) -> None:
        """Let all runs stop after the current step or replay, with a checkpoint."""
        self._stopping.set()

    def run(self, first: Job) -> None:
        """Make ``first`` and the jobs that follow it, until the channel says that there are no more."""
        self._runs.append(ActiveRun(first))
        while self._receive_jobs():
            for active in list(self._runs):
                # A slice of another run may have removed this one.
                if active in self._runs:
                    self._train_slice(active)

    def _receive_jobs(self) -> bool:
        """Receive the jobs that were sent, waiting for one if there is no run; say whether there is a run."""
        while not self._stopping.is_set():
            if not self._channel.poll(0 if self._runs else POLL_SECONDS):
                if self._runs:
                    break
                continue
            try:
                job = self._channel.recv()
            except EOFError:
                break
            if job is None:
                break
            self._runs.append(ActiveRun(job))
        return bool(self._runs)

    def _train_slice(self, active: ActiveRun) -> None:
        lacked_memory = ""
        try:
            if active.slices is None:
                self._begin(active)
            with active.on_stream():
                assert active.slices is not None
                step = next(active.slices, None)
        except torch.OutOfMemoryError:
            lacked_memory = traceback.format_exc()
        except Uncapturable as error:
            self._leave_uncaptured(active, error)
        except Exception as error:
            if full := full_disk(error):
                self._stop_on_full_disk(active, full)
            else:
                self._fail(active, error)
        else:
            if step is None:
                self._end(active)
        if lacked_memory:
            # Outside of the handler, whose traceback holds references to the run's tensors.
            self._make_room(active, lacked_memory)

    def _begin(self, active: ActiveRun) -> None:
        job, folder = active.job, active.job.folder
        self._channel.send(("began", job.run.id))
        active.lock.enter_context(folder.writing())
        folder.error.unlink(missing_ok=True)
        for line in folder.set_aside_damage():
            self._channel.send(("warning", line))
        steps = job.steps
        if not steps:
            untimed = f"{job.run.configuration}: not timed"
            raise InputError(f"{untimed}, so its budget in seconds cannot be converted to steps")
        seconds = job.site.checkpoint_seconds
        active.stream = self._stream(torch.device(job.device))
        with active.on_stream():
            data = self._loaded(job)
            inputs = inputs_of(job.run, data, job.site.inception_weights)
            refuse_changed_inputs(job, inputs)
            task = job.build(data)
            progress = _Progress(self._channel, job.run.id)
            trainer = Trainer(
                task,
                folder,
                [progress, *(observer.model_copy(deep=True) for observer in job.site.observers)],
                steps=steps,
                every=job.run.evaluation.every,
                identity={"run": job.run.id, **inputs},
                stream=active.stream if job.captures else None,
                warn=lambda line: self._channel.send(("warning", line)),
                checkpoint_seconds=CHECKPOINT_SECONDS if seconds is None else seconds,
                keep_checkpoints=job.site.keep_checkpoints,
            )
            engine = {"runs_at_once": job.pack, "captured": trainer.is_captured}
            if job.site.keep_checkpoints:
                engine[CHECKPOINTS_KEPT] = True
            before = folder.origins()
            origins = [*before, {**job.provenance, **engine}]
            folder.define({**job.run.definition(steps), "inputs": inputs, "provenance": origins})
            for line in trainer.restore():
                self._channel.send(("warning", line))
            if trainer.step and (changed := kernels_changed(before, job.provenance)):
                self._channel.send(("warning", f"{folder.path}: {changed}; the last bits of numbers may differ"))
        active.trainer, active.slices = trainer, trainer.run(self._stopping.is_set)

    def _stream(self, device: torch.device) -> torch.cuda.Stream | None:
        """Return a CUDA stream that no other run has; None on another device."""
        if device.type != "cuda":
            return None
        torch.cuda.set_device(device)
        return self._streams.pop() if self._streams else new_stream(device)

    def _loaded(self, job: Job) -> Data | PairData:
        """Return the job's data, which the runs of one worker share."""
        # The class, not its name: an engine may send runs of several sweeps to one worker.
        key = (type(job.run.dataset), job.run.dataset.model_dump_json())
        if key not in self._data:
            self._data[key] = job.load()
            if torch.device(job.device).type == "cuda":
                # Each run reads the data on its own stream.
                torch.cuda.synchronize()
        return self._data[key]

    def _fail(self, active: ActiveRun, error: Exception) -> None:
        """Write why a run failed, and continue with the others; exit if the device is lost.

        With a lost device and several runs, none of them is blamed: any of them may be the cause.
        """
        message = str(error) if isinstance(error, InputError) else traceback.format_exc()
        is_lost = not isinstance(error, InputError) and _is_lost(active.job.device, error)
        if is_lost:
            self._channel.send(("leaving",))
        if not is_lost or len(self._runs) == 1:
            active.job.folder.fail(message)
            self._end(active)
        if is_lost:
            raise SystemExit(1) from error

    def _stop_on_full_disk(self, active: ActiveRun, full: OSError) -> None:
        """Stop a run that cannot be written, without blaming it; the engine stops the others."""
        place = full.filename or active.job.folder.path
        self._drop(active)
        with suppress(OSError):
            self._channel.send(("full", f"{place}: {full.strerror}"))

    def _end(self, active: ActiveRun) -> None:
        self._drop(active)
        self._channel.send(("ended", active.job.run.id))

    def _drop(self, active: ActiveRun) -> None:
        self._runs.remove(active)
        if active.trainer is not None:
            # A lost device raises here; the process exits anyway.
            with suppress(RuntimeError):
                active.trainer.release()
        active.trainer = active.slices = None
        if active.stream is not None:
            self._streams.append(active.stream)
        active.lock.close()

    def _make_room(self, failed: ActiveRun, why: str) -> None:
        """Give back the run that ran out of memory and the last of the others, until half of the runs are left."""
        if len(self._runs) == 1:
            failed.job.folder.fail(f"out of memory, with no other run in the process:\n{why}")
            self._end(failed)
            return
        limit = len(self._runs) // 2
        others = [active for active in self._runs if active is not failed]
        self._give_back([failed, *others[limit:]], failed, limit, why.strip().splitlines()[-1])
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _leave_uncaptured(self, failed: ActiveRun, error: Uncapturable) -> None:
        """Give back every run and exit: after a broken capture of a CUDA graph torch's allocator cannot be trusted."""
        self._channel.send(("leaving",))
        count = len(self._runs)
        if error.lacked_memory and count == 1:
            failed.job.folder.fail(f"out of memory, with no other run in the process: {error}")
            self._end(failed)
        else:
            others = [active for active in self._runs if active is not failed]
            self._give_back([failed, *others], failed, count // 2 if error.lacked_memory else 0, str(error))
        raise SystemExit(0)

    def _give_back(self, returned: list[ActiveRun], failed: ActiveRun, limit: int, reason: str) -> None:
        for active in returned:
            # The run that failed is in the middle of a step, and keeps its last checkpoint. So does one that cannot
            # be saved.
            if active is not failed and active.trainer is not None:
                with active.on_stream(), suppress(RuntimeError, OSError):
                    active.trainer.save()
            self._drop(active)
        self._channel.send(("returned", [active.job.run.id for active in returned], limit, reason))


def _is_lost(device: str, error: Exception) -> bool:
    """Say whether a device no longer responds, as after a failed device-side assertion."""
    if isinstance(error, torch.AcceleratorError):
        return True
    if torch.device(device).type == "cuda":
        try:
            torch.cuda.synchronize(device)
        except RuntimeError:
            return True
    return False
