"""A worker process: trains runs, several in turn where they share a device, and records why one failed or is requeued.

A worker exits when its parent exits, when its device is lost, and after a failed capture of a CUDA graph.
"""

import gc
import threading
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection

import torch

from lipschitz.datasets.base import Data, Dataset
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.errors import InputError
from lipschitz.files import full_disk
from lipschitz.global_state import GlobalState
from lipschitz.out_of_memory import lacks_memory
from lipschitz.sweep.attempt import Superseded, clear_attempts
from lipschitz.sweep.engine.active_run import ActiveRun, Channel
from lipschitz.sweep.engine.earlier_attempts import go_on
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.lost_device import is_lost_device
from lipschitz.sweep.inputs import inputs_of, refuse_changed_inputs
from lipschitz.sweep.process import ending_process, prepare_process
from lipschitz.training.iterations import Uncapturable, new_stream

POLL_SECONDS = 0.2
"""How often a worker without runs looks whether it was told to stop."""


def work(job: Job, channel: Connection) -> None:
    """Train ``job.run``, and take turns with jobs received on the channel.

    The worker receives further jobs, and None once there are no more. It sends

    - ("began", id), ("step", id, n) after each slice of steps, ("alive",) after each evaluation, ("warning", line);
    - ("turn", id): the next slice is that of this run, where there are several;
    - ("ended", id): a run is over, whether it finished or failed;
    - ("stopped", id): a run has stopped with a checkpoint;
    - ("left", id): another process has taken this one for lost, and goes on with the run;
    - ("returned", ids, limit, reason): jobs that are given back, to be started again from their checkpoints, because
      there is memory for no more than ``limit`` runs at once. A limit of zero says that the first of them cannot be
      captured as a CUDA graph, for the reason;
    - ("crowded", id, reason): its only run is given back, because the GPU lacks memory while other workers use it;
    - ("full", line): the disk is full, and a run was stopped, to be resumed once there is space;
    - ("leaving",): the worker is about to exit, and makes no run that it still has or receives.

    On SIGTERM, and where the engine has ended, all runs stop after the current step or replay, with a checkpoint. The
    error of a run is written to its ``error.txt``, and the other runs continue.
    """
    worker = Worker(channel)
    prepare_process(worker.stop)
    with ending_process():
        worker.run(job)


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
        self._globals = GlobalState()
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
                self.stop()
                break
            if job is None:
                break
            self._runs.append(ActiveRun(job))
        return bool(self._runs)

    def _train_slice(self, active: ActiveRun) -> None:
        lacked_memory = ""
        try:
            step = self._next_step(active)
        except Uncapturable as error:
            self._leave_uncaptured(active, error)
        except Superseded:
            self._end(active)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            # No signal raises here: code of the run does.
            folder = active.job.folder
            if folder.is_gone() or ((active.job.attempt or active.trainer) and folder.is_over()):
                # Another process was faster, or has taken this one for lost and goes on with the run.
                self._end(active)
            elif full := full_disk(error):
                self._stop_on_full_disk(active, full)
            elif lacks_memory(error):
                lacked_memory = traceback.format_exc()
            else:
                self._fail(active, error)
        else:
            is_at_end = step is None and (active.slices is not None or self._stopping.is_set())
            if is_at_end or active.is_superseded():
                self._end(active)
        if lacked_memory:
            # Outside of the handler, whose traceback holds references to the run's tensors.
            self._make_room(active, lacked_memory)

    def _next_step(self, active: ActiveRun) -> int | None:
        """Train one slice, and return the step reached; None where the run has ended, or waits for its lock.

        Raises:
            InputError: the run has changed what it shares with other runs of this process.
        """
        if len(self._runs) > 1:
            self._channel.send(("turn", active.job.run.id))
        try:
            if active.slices is None and not self._begin(active):
                return None
            with active.on_stream():
                assert active.slices is not None
                step = next(active.slices, None)
        except BaseException as error:
            if line := self._globals.change(active.job.run.configuration):
                error.add_note(line)
            raise
        self._globals.check(active.job.run.configuration)
        return step

    def _begin(self, active: ActiveRun) -> bool:
        """Build a run and restore its checkpoint; say whether that was done, or its folder is still locked."""
        job, folder = active.job, active.job.folder
        if not active.waits_since:
            self._channel.send(("began", job.run.id))
        if not active.take_lock(self._warn):
            self._channel.send(("alive",))
            # Other runs of the process go on meanwhile.
            self._stopping.wait(0 if any(other.trainer is not None for other in self._runs) else POLL_SECONDS)
            return False
        if folder.is_alone:
            for line in folder.set_aside_damage():
                self._warn(line)
        if folder.is_over():
            raise Superseded
        folder.error.unlink(missing_ok=True)
        go_on(folder, torch.device(job.device).type)
        steps = job.steps
        if not steps:
            untimed = f"{job.run.configuration}: not timed"
            raise InputError(f"{untimed}, so its budget in seconds cannot be converted to steps")
        active.stream = self._stream(torch.device(job.device))
        with active.on_stream():
            data = self._loaded(job)
            inputs = inputs_of(job.run, data, job.site.inception_weights)
            refuse_changed_inputs(job, inputs)
            task = job.build(data)
            self._globals.check(job.run.configuration)
            trainer = active.trainer_of(
                task, steps, inputs, self._channel, lambda: self._globals.check(job.run.configuration)
            )
        active.trainer, active.slices = trainer, trainer.run(self._stopping.is_set)
        return True

    def _warn(self, line: str) -> None:
        self._channel.send(("warning", line))

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

    def _fail(self, active: ActiveRun, error: BaseException) -> None:
        """Write why a run failed, and continue with the others; exit if the device is lost.

        With a lost device and several runs, none of them is blamed: any of them may be the cause.
        """
        message = str(error) if isinstance(error, InputError) else traceback.format_exc()
        is_lost = not isinstance(error, InputError) and is_lost_device(active.job.device, error)
        if is_lost:
            self._channel.send(("leaving",))
        if not is_lost or len(self._runs) == 1:
            active.job.folder.fail(message)
            self._end(active, failed=True)
        if is_lost:
            raise SystemExit(1) from error

    def _stop_on_full_disk(self, active: ActiveRun, full: OSError) -> None:
        """Stop a run that cannot be written, without blaming it; the engine stops the others."""
        place = full.filename or active.job.folder.path
        self._drop(active)
        with suppress(OSError):
            self._channel.send(("full", f"{place}: {full.strerror}"))

    def _end(self, active: ActiveRun, *, failed: bool = False) -> None:
        folder, trainer = active.job.folder, active.trainer
        stopped = self._stopping.is_set() and not failed and folder.result() is None
        if stopped and trainer is not None:
            last = folder.heartbeat.read()
            folder.heartbeat.write(trainer.step, trainer.steps, quality=last and last.quality)
        self._drop(active)
        if folder.is_over():
            clear_attempts(folder.run)
            folder.heartbeat.remove()
            if folder.is_alone:
                # Where another process was faster.
                folder.run.remove_leftovers()
        how = "stopped" if stopped else "ended" if failed or folder.is_over() else "left"
        self._channel.send((how, active.job.run.id))

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
        if len(self._runs) == 1 and failed.job.shares_gpu:
            self._leave_to_others(failed, why.strip().splitlines()[-1])
            return
        if len(self._runs) == 1:
            failed.job.folder.fail(f"out of memory, with no other run in the process:\n{why}")
            self._end(failed, failed=True)
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
        if len(self._runs) == 1 and error.lacked_memory and failed.job.shares_gpu:
            self._leave_to_others(failed, str(error))
            raise SystemExit(0)
        # A run that has the process to itself goes on without a graph, which keeps memory of its own.
        limit = len(self._runs) // 2 if error.lacked_memory else 0
        others = [active for active in self._runs if active is not failed]
        self._give_back([failed, *others], failed, limit, str(error))
        raise SystemExit(0)

    def _leave_to_others(self, failed: ActiveRun, reason: str) -> None:
        """Give back the only run, whose device lacks memory while other workers use it."""
        self._drop(failed)
        self._channel.send(("crowded", failed.job.run.id, reason))

    def _give_back(self, returned: list[ActiveRun], failed: ActiveRun, limit: int, reason: str) -> None:
        for active in returned:
            # The run that failed is in the middle of a step, and keeps its last checkpoint. So does one that cannot
            # be saved.
            if active is not failed and active.trainer is not None:
                with active.on_stream(), suppress(RuntimeError, OSError):
                    active.trainer.save()
            self._drop(active)
        self._channel.send(("returned", [active.job.run.id for active in returned], limit, reason))
