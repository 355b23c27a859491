"""The dispatcher: gives jobs to worker processes, requeues the jobs of those that die, ends those that hang."""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from lipschitz.signals import raise_if_stopped
from lipschitz.sweep.engine.base import DiskFull, Progress
from lipschitz.sweep.engine.job import Job, uncaptured_warning
from lipschitz.sweep.engine.job_queue import JobQueue
from lipschitz.sweep.engine.worker import work
from lipschitz.sweep.engine.worker_process import GRACE, LOST, WorkerProcess, how_it_ended
from lipschitz.sweep.process import start_process

RETRIES = 1
"""How often a run is started again whose worker was killed by a signal."""
LONGEST_WAIT = 10.0
"""Longest wait in seconds for messages. Time in which this process itself was stopped counts as no more than that."""


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
        self._queue = jobs if isinstance(jobs, JobQueue) else JobQueue(jobs)
        self._free_devices = deque(devices)
        # Workers that a device may have.
        self._places = Counter(devices)
        self._progress, self._entry = progress, entry
        self._workers: list[WorkerProcess] = []
        # Runs that a device has memory for, once it was found to lack some.
        self._limits = dict.fromkeys(devices, math.inf)
        self._uncapturable: set[str] = set()
        self._deaths: Counter[str] = Counter()

    def run(self) -> None:
        """Run all jobs.

        Raises:
            KeyboardInterrupt: re-raised after all workers have written checkpoints.
            DiskFull: a run could not be written; the workers have stopped.
        """
        try:
            while self.has_work():
                raise_if_stopped()
                self.dispatch()
                self.receive()
        finally:
            self._stop_workers()

    def has_work(self) -> bool:
        """Say whether a job is queued or a worker is alive."""
        return bool(self._queue or self._workers)

    def dispatch(self) -> None:
        """Give queued jobs to new workers on free devices, then to workers that have room, the least loaded first."""
        while self._queue and (self._free_devices or self._with_room(self._queue.first())):
            job = self._queue.take()
            if job is None:
                break
            if self._free_devices:
                self._start_worker(job, self._free_devices.popleft())
            elif with_room := self._with_room(job):
                self._give(min(with_room, key=lambda worker: worker.load), job)
            else:
                self._queue.give_back([job])
                break
        for worker in self._workers:
            if not worker.jobs and not worker.is_retired:
                worker.is_retired = True
                worker.send(None)

    def _with_room(self, job: Job) -> list[WorkerProcess]:
        return [worker for worker in self._workers if worker.has_room(job, self._limits[worker.device])]

    def receive(self) -> None:
        """Wait until a worker sends a message, is dead or hangs; handle messages, requeue the jobs of a dead one."""
        most = min(LONGEST_WAIT, self._queue.patience) if self._queue and self._free_devices else LONGEST_WAIT
        longest = max(0.0, min([most, *(worker.patience for worker in self._workers)]))
        start = time.monotonic()
        ready = wait([*(a.channel for a in self._workers), *(a.process.sentinel for a in self._workers)], longest)
        waited = min(time.monotonic() - start, longest)
        for worker in list(self._workers):
            worker.silent += waited
            if worker.channel in ready:
                self._read_messages(worker)
            if not worker.process.is_alive():
                self._remove(worker)
                self._requeue_lost_jobs(worker)
            elif worker.patience <= 0:
                worker.end()
                self._remove(worker)
                self._requeue_hung_jobs(worker)

    def _remove(self, worker: WorkerProcess) -> None:
        self._read_messages(worker)
        worker.process.join()
        worker.channel.close()
        self._workers.remove(worker)
        if self._used_places(worker.device) < self._places[worker.device]:
            self._free_devices.append(worker.device)

    def _used_places(self, device: str) -> int:
        return self._free_devices.count(device) + sum(worker.device == device for worker in self._workers)

    def _stop_workers(self) -> None:
        if self._workers:
            self._progress.warned("stopping: workers write their checkpoints")
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + GRACE + sum(len(worker.jobs) for worker in self._workers)
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            worker.process.kill()

    def _start_worker(self, job: Job, device: str) -> None:
        job = self._placed(job, device)
        process, channel = start_process(self._entry, job, name=job.run.id)
        self._workers.append(WorkerProcess(process, channel, device, {job.run.id: job}, {job.run.id}))
        self._progress.started(job)

    def _give(self, worker: WorkerProcess, job: Job) -> None:
        job = self._placed(job, worker.device)
        worker.jobs[job.run.id] = job
        worker.send(job)
        self._progress.started(job)

    def _placed(self, job: Job, device: str) -> Job:
        captures = job.captures and job.run.configuration not in self._uncapturable
        shares_gpu = device.startswith("cuda") and self._places[device] > 1
        pack = int(min(job.pack, self._limits[device]))
        return replace(job, device=device, captures=captures, pack=pack, shares_gpu=shares_gpu)

    def _read_messages(self, worker: WorkerProcess) -> None:
        # A dead worker's channel is at its end: only the sentinel says that the worker is dead.
        with suppress(EOFError, OSError):
            while worker.channel.poll():
                self._handle(worker, *worker.channel.recv())

    def _handle(self, worker: WorkerProcess, kind: str, *content: Any) -> None:
        """Handle one message; `lipschitz.sweep.engine.worker.work` lists them."""
        worker.silent = 0.0
        match kind, content:
            case "began", (run_id,):
                worker.begun.add(run_id)
            case "turn", (run_id,):
                worker.turn = run_id
            case "step", (run_id, step):
                worker.steps[run_id] = step
                self._progress.stepped(worker.jobs[run_id], step)
            case "warning", (line,):
                self._progress.warned(line)
            case "ended", (run_id,):
                self._end(worker.jobs.pop(run_id))
            case "stopped", (run_id,):
                stopped = "its worker got a SIGTERM or SIGUSR1 that this sweep did not send"
                self._try_again(worker, worker.jobs.pop(run_id), stopped)
            case "left", (run_id,):
                self._requeue([worker.jobs.pop(run_id)])
            case "full", (line,):
                raise DiskFull(line)
            case "leaving", ():
                worker.is_retired = True
            case "crowded", (run_id, reason):
                self._make_room_on_gpu(worker, worker.jobs.pop(run_id), reason)
            case "returned", (run_ids, limit, reason):
                jobs = [worker.jobs.pop(run_id) for run_id in run_ids]
                self._requeue(jobs)
                if limit:
                    self._limits[worker.device] = min(limit, self._limits[worker.device])
                    self._progress.warned(f"{worker.device}: at most {limit} runs at once from now on: {reason}")
                else:
                    self._uncapturable.add(jobs[0].run.configuration)
                    self._progress.warned(uncaptured_warning(jobs[0], reason))

    def _make_room_on_gpu(self, worker: WorkerProcess, job: Job, reason: str) -> None:
        """Let one worker fewer use the worker's GPU from now on, and requeue its job."""
        device = worker.device
        if self._places[device] > 1:
            self._places[device] -= 1
            if device in self._free_devices:
                self._free_devices.remove(device)
            workers = "worker" if self._places[device] == 1 else "workers"
            self._progress.warned(f"{device}: at most {self._places[device]} {workers} from now on: {reason}")
        worker.is_retired = True
        worker.send(None)
        self._requeue([job])

    def _requeue(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._progress.returned(job)
        self._queue.give_back(jobs)

    def _end(self, job: Job) -> None:
        self._queue.over(job)
        self._progress.ended(job)

    def _requeue_lost_jobs(self, worker: WorkerProcess) -> None:
        """Requeue the jobs of a dead worker, except a run that it made alone: that run caused the death, and failed.

        Of several runs any may be the cause: each is started again in a worker to itself. A run whose worker was killed
        is started again once: the cause may lie outside, such as a lack of memory.
        """
        code = worker.process.exitcode
        suspects = [job for run_id, job in worker.jobs.items() if run_id in worker.begun]
        self._requeue([job for job in worker.jobs.values() if job not in suspects])
        how = f"({how_it_ended(code)})"
        was_killed = code is None or code < 0 or code == LOST
        if len(suspects) > 1:
            died = f"{worker.device}: a worker with {len(suspects)} runs died {how}"
            self._progress.warned(f"{died}; each is started again in a worker to itself")
            self._deaths.update(job.run.id for job in suspects if was_killed)
            self._requeue([replace(job, pack=1) for job in suspects])
            return
        for job in suspects:
            if was_killed:
                memory = "; a lack of memory may be the cause" if code == -9 else ""
                self._try_again(worker, job, f"the worker died {how}{memory}")
            else:
                self._fail(job, f"the worker died {how} {worker.place(job)} and left no error message")

    def _requeue_hung_jobs(self, worker: WorkerProcess) -> None:
        """Fail the run at which a worker hung, and requeue the others."""
        at = worker.turn if worker.turn in worker.jobs else next(iter(worker.begun & set(worker.jobs)), "")
        self._requeue([job for run_id, job in worker.jobs.items() if run_id != at])
        if job := worker.jobs.get(at):
            longest = f"{job.site.timeout:g} s"
            hung = f"no progress for {longest} {worker.place(job)}, so its worker was ended"
            self._progress.warned(f"{job.run.id}: {hung}")
            self._fail(job, f"{hung}; if its steps or evaluations take longer, raise --timeout (now {longest})")

    def _try_again(self, worker: WorkerProcess, job: Job, why: str) -> None:
        self._deaths[job.run.id] += 1
        if self._deaths[job.run.id] > RETRIES:
            self._fail(job, f"{why} ({worker.place(job)}; it was tried {RETRIES + 1} times)")
            return
        self._progress.warned(f"{job.run.id}: {why}; started again from its checkpoint")
        self._requeue([job])

    def _fail(self, job: Job, why: str) -> None:
        # The worker may have written a better reason.
        if job.sweep.exists() and not job.folder.error.exists():
            with suppress(OSError):
                job.folder.error.parent.mkdir(parents=True, exist_ok=True)
            job.folder.fail(why)
        self._end(job)
