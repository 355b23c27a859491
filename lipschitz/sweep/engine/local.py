"""The local engine: dispatch jobs to worker processes on this machine, and requeue the jobs of a worker that dies."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from lipschitz.sweep.engine.base import DiskFull, Engine, Measurement, Progress
from lipschitz.sweep.engine.job import Job, uncaptured_warning
from lipschitz.sweep.engine.process import prepare_process, worker_context
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.engine.worker import work

GRACE = 60.0
"""Seconds that a worker has to stop once told to, and one more for each run's checkpoint."""


class Local(Engine):
    """Worker processes on this machine, one for each device of the site; the jobs of a lost worker are requeued."""

    def run(self, jobs: Sequence[Job], site: Site, progress: Progress) -> None:
        """Dispatch ``jobs`` to worker processes; see `Engine.run`."""
        Dispatcher(jobs, site.devices, progress).run()

    def call(self, measurement: Measurement, job: Job) -> dict[str, Any]:
        """Call ``measurement`` in a process; see `Engine.call`."""
        context = worker_context()
        ours, theirs = context.Pipe()
        process = context.Process(target=_answer, args=(measurement, job, theirs), name=job.run.id)
        process.start()
        theirs.close()
        found: dict[str, Any] = {}
        try:
            # A process that ends, or dies, closes its end.
            with suppress(EOFError, OSError):
                while True:
                    found = ours.recv()
        except KeyboardInterrupt:
            process.terminate()
            raise
        finally:
            process.join(GRACE)
            process.kill()
            ours.close()
        return found


def _answer(measurement: Measurement, job: Job, channel: Connection) -> None:
    prepare_process()
    measurement(job, channel.send)


@dataclass
class WorkerProcess:
    """A worker as the dispatcher sees it: its process, its device, and the jobs that it has."""

    process: BaseProcess
    channel: Connection
    device: str
    jobs: dict[str, Job] = field(default_factory=dict)
    """By the id of the run."""
    begun: set[str] = field(default_factory=set)
    """Ids of the runs that it has begun. Only these can have caused its death."""
    is_retired: bool = False
    """Whether it is given no more jobs."""

    @property
    def load(self) -> float:
        """Sum of the shares of its jobs, 1 / ``pack`` each."""
        return sum(1 / job.pack for job in self.jobs.values())

    def has_room(self, job: Job, limit: float) -> bool:
        """Say whether it can take ``job`` besides those that it has, ``limit`` of them at most."""
        can_share = not self.is_retired and job.pack > 1 and all(own.pack > 1 for own in self.jobs.values())
        return can_share and self.load + 1 / job.pack < 1 + 1e-9 and len(self.jobs) < limit

    def send(self, job: Job | None) -> None:
        """Send a job, or None: there are no more. A worker that has died meanwhile is noticed by its sentinel."""
        with suppress(OSError):
            self.channel.send(job)


class Dispatcher:
    """Runs jobs in order, with one worker process at a time on each of ``devices``.

    A job with a ``pack`` of one has a process to itself. Others share a process as long as their shares, 1 / ``pack``
    each, add up to one at most.

    Args:
        entry: what a worker's process runs: `lipschitz.sweep.engine.worker.work`, or a function that calls it.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        devices: Sequence[str],
        progress: Progress,
        entry: Callable[[Job, Connection], None] = work,
    ) -> None:
        self._queue, self._free_devices = deque(jobs), deque(devices)
        self._progress, self._entry = progress, entry
        self._workers: list[WorkerProcess] = []
        # Runs that a device has memory for, once it was found to lack some.
        self._limits = dict.fromkeys(devices, math.inf)
        self._uncapturable: set[str] = set()
        self._context = worker_context()

    def run(self) -> None:
        """Run all jobs.

        Raises:
            KeyboardInterrupt: re-raised after all workers have written checkpoints.
        """
        try:
            while self.has_work():
                self.dispatch()
                self.receive()
        finally:
            self._stop_workers()

    def has_work(self) -> bool:
        """Say whether a job is queued or a worker is alive."""
        return bool(self._queue or self._workers)

    def dispatch(self) -> None:
        """Give queued jobs to new workers on free devices, then to workers that have room, the least loaded first."""
        while self._queue:
            job = self._queue[0]
            if self._free_devices:
                self._start_worker(self._queue.popleft(), self._free_devices.popleft())
                continue
            with_room = [worker for worker in self._workers if worker.has_room(job, self._limits[worker.device])]
            if not with_room:
                break
            self._give(min(with_room, key=lambda worker: worker.load), self._queue.popleft())
        for worker in self._workers:
            if not worker.jobs and not worker.is_retired:
                worker.is_retired = True
                worker.send(None)

    def receive(self) -> None:
        """Wait until a worker sends a message or is dead; handle its messages, and requeue the jobs of a dead one."""
        ready = wait([*(a.channel for a in self._workers), *(a.process.sentinel for a in self._workers)])
        for worker in list(self._workers):
            if worker.channel in ready:
                self._read_messages(worker)
            if not worker.process.is_alive():
                self._read_messages(worker)
                worker.process.join()
                worker.channel.close()
                self._workers.remove(worker)
                self._free_devices.append(worker.device)
                self._requeue_lost_jobs(worker)

    def _stop_workers(self) -> None:
        if self._workers:
            self._progress.warned("stopping: workers write their checkpoints")
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(GRACE + len(worker.jobs))
            worker.process.kill()

    def _start_worker(self, job: Job, device: str) -> None:
        ours, theirs = self._context.Pipe()
        job = self._placed(job, device)
        process = self._context.Process(target=self._entry, args=(job, theirs), name=job.run.id)
        process.start()
        theirs.close()
        self._workers.append(WorkerProcess(process, ours, device, {job.run.id: job}, {job.run.id}))
        self._progress.started(job)

    def _give(self, worker: WorkerProcess, job: Job) -> None:
        job = self._placed(job, worker.device)
        worker.jobs[job.run.id] = job
        worker.send(job)
        self._progress.started(job)

    def _placed(self, job: Job, device: str) -> Job:
        captures = job.captures and job.run.configuration not in self._uncapturable
        return replace(job, device=device, captures=captures)

    def _read_messages(self, worker: WorkerProcess) -> None:
        # A dead worker's channel is at its end: only the sentinel says that the worker is dead.
        with suppress(EOFError, OSError):
            while worker.channel.poll():
                self._handle(worker, *worker.channel.recv())

    def _handle(self, worker: WorkerProcess, kind: str, *content: Any) -> None:
        """Handle one message; `lipschitz.sweep.engine.worker.work` lists them."""
        match kind, content:
            case "began", (run_id,):
                worker.begun.add(run_id)
            case "step", (run_id, step):
                self._progress.stepped(worker.jobs[run_id], step)
            case "warning", (line,):
                self._progress.warned(line)
            case "ended", (run_id,):
                self._progress.ended(worker.jobs.pop(run_id))
            case "full", (line,):
                raise DiskFull(line)
            case "leaving", ():
                worker.is_retired = True
            case "returned", (run_ids, limit, reason):
                jobs = [worker.jobs.pop(run_id) for run_id in run_ids]
                self._requeue(jobs)
                if limit:
                    self._limits[worker.device] = min(limit, self._limits[worker.device])
                    self._progress.warned(f"{worker.device}: at most {limit} runs at once from now on: {reason}")
                else:
                    self._uncapturable.add(jobs[0].run.configuration)
                    self._progress.warned(uncaptured_warning(jobs[0], reason))

    def _requeue(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._progress.returned(job)
        self._queue.extendleft(reversed(jobs))

    def _requeue_lost_jobs(self, worker: WorkerProcess) -> None:
        """Requeue the jobs of a dead worker, except a run that it made alone: that run caused the death, and failed.

        Of several runs any may be the cause: each is started again in a worker to itself.
        """
        code = worker.process.exitcode
        suspects = [job for run_id, job in worker.jobs.items() if run_id in worker.begun and code]
        self._requeue([job for job in worker.jobs.values() if job not in suspects])
        if len(suspects) > 1:
            died = f"{worker.device}: a worker with {len(suspects)} runs died ({_exit(code)})"
            self._progress.warned(f"{died}; each is started again in a worker to itself")
            self._requeue([replace(job, pack=1) for job in suspects])
            return
        for job in suspects:
            if job.folder.path.exists() and not job.folder.error.exists():
                job.folder.fail(f"the worker died ({_exit(code)}) and left no error message")
            self._progress.ended(job)


def _exit(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
