"""The local engine: workers that are given runs from one queue; one that dies costs none but what fails alone."""

import math
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.worker import work

PRELOAD = [
    "lipschitz.sweep.engine.worker",
    "torch._dynamo",
    "scipy.optimize",
    "scipy.spatial.distance",
    "sklearn.datasets",
]
"""What every worker would import sooner or later; torch imports its compiler as soon as it makes an optimiser."""
GRACE = 60.0
"""Seconds that a worker has to finish what is in hand once told to stop, and one more for each run's checkpoint."""


class Observer(Protocol):
    """Who is told how the sweep goes."""

    def started(self, job: Job) -> None:
        """``job`` was given to a worker."""

    def stepped(self, job: Job, step: int) -> None:
        """``job`` has reached ``step``."""

    def warned(self, line: str) -> None:
        """Something was noticed that costs no result."""

    def returned(self, job: Job) -> None:
        """A worker gave ``job`` back, to be started again from its checkpoint."""

    def ended(self, job: Job) -> None:
        """``job`` is over; the run's folder says how it went."""


Target = Callable[[Job, Connection], None]


def run_jobs(jobs: Sequence[Job], slots: Sequence[str], observer: Observer, target: Target = work) -> None:
    """Run ``target`` on every job, in order, with a process on the device of each slot.

    A job whose ``pack`` is one has a process of its own. Others share one as long as their shares, 1 / ``pack`` each,
    add up to one at most; their ``target`` is `work`, which takes further jobs while it works on those that it has.

    A KeyboardInterrupt stops the workers after the step in hand, or replay of several, and is raised again.
    """
    engine = _Engine(jobs, slots, observer, target)
    try:
        while engine.goes_on():
            engine.hand_out()
            engine.listen()
    finally:
        engine.stop()


@dataclass
class _Worker:
    process: BaseProcess
    channel: Connection
    slot: str
    held: dict[str, Job] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    """Ids of the runs that it has turned to: what it does not even begin, it cannot fail at."""
    dismissed: bool = False
    """Whether it is given no more."""

    @property
    def load(self) -> float:
        """Sum of the shares of what it holds."""
        return sum(1 / job.pack for job in self.held.values())

    def has_room(self, job: Job, limit: float) -> bool:
        """Say whether it can take ``job`` besides what it holds."""
        shares = not self.dismissed and job.pack > 1 and all(held.pack > 1 for held in self.held.values())
        return shares and self.load + 1 / job.pack < 1 + 1e-9 and len(self.held) < limit

    def give(self, job: Job | None) -> None:
        """Send a job, or that there is no more; a worker that has died meanwhile is noticed elsewhere."""
        with suppress(OSError):
            self.channel.send(job)


class _Engine:
    """Who holds what: jobs wait, or are held by a worker, of which each slot has at most one."""

    def __init__(self, jobs: Sequence[Job], slots: Sequence[str], observer: Observer, target: Target) -> None:
        self._waiting, self._free = deque(jobs), deque(slots)
        self._observer, self._target = observer, target
        self._workers: list[_Worker] = []
        # What a slot has memory for, once it was found to lack some.
        self._limits = dict.fromkeys(slots, math.inf)
        self._uncapturable: set[str] = set()
        self._context = worker_context()

    def goes_on(self) -> bool:
        """Say whether anything waits or is at work."""
        return bool(self._waiting or self._workers)

    def hand_out(self) -> None:
        """Give what waits to free slots, then to workers that have room, the least loaded first."""
        while self._waiting:
            job = self._waiting[0]
            if self._free:
                self._start(self._waiting.popleft(), self._free.popleft())
                continue
            fitting = [worker for worker in self._workers if worker.has_room(job, self._limits[worker.slot])]
            if not fitting:
                break
            self._give(min(fitting, key=lambda worker: worker.load), self._waiting.popleft())
        for worker in self._workers:
            if not worker.held and not worker.dismissed:
                worker.dismissed = True
                worker.give(None)

    def listen(self) -> None:
        """Wait until a worker says something or is gone, and take note."""
        ready = wait([*(a.channel for a in self._workers), *(a.process.sentinel for a in self._workers)])
        for worker in list(self._workers):
            if worker.channel in ready:
                self._hear(worker)
            if not worker.process.is_alive():
                self._hear(worker)
                worker.process.join()
                worker.channel.close()
                self._workers.remove(worker)
                self._free.append(worker.slot)
                self._bury(worker)

    def stop(self) -> None:
        """Stop what is still at work: each run is left with a checkpoint."""
        if self._workers:
            self._observer.warned("stopping: workers write their checkpoints")
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(GRACE + len(worker.held))
            worker.process.kill()

    def _start(self, job: Job, slot: str) -> None:
        ours, theirs = self._context.Pipe()
        job = self._placed(job, slot)
        process = self._context.Process(target=self._target, args=(job, theirs), name=job.run.id)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours, slot, {job.run.id: job}, {job.run.id}))
        self._observer.started(job)

    def _give(self, worker: _Worker, job: Job) -> None:
        job = self._placed(job, worker.slot)
        worker.held[job.run.id] = job
        worker.give(job)
        self._observer.started(job)

    def _placed(self, job: Job, slot: str) -> Job:
        return replace(job, device=slot, captures=job.captures and job.run.configuration not in self._uncapturable)

    def _hear(self, worker: _Worker) -> None:
        # A worker that is gone closes its end: its sentinel says so too, and only that counts.
        with suppress(EOFError, OSError):
            while worker.channel.poll():
                self._take_note(worker, *worker.channel.recv())

    def _take_note(self, worker: _Worker, kind: str, *said: Any) -> None:
        match kind, said:
            case "began", (run_id,):
                worker.begun.add(run_id)
            case "step", (run_id, step):
                self._observer.stepped(worker.held[run_id], step)
            case "warning", (line,):
                self._observer.warned(line)
            case "ended", (run_id,):
                self._observer.ended(worker.held.pop(run_id))
            case "leaving", ():
                worker.dismissed = True
            case "returned", (run_ids, runs, reason):
                jobs = [worker.held.pop(run_id) for run_id in run_ids]
                self._return(jobs)
                if runs:
                    self._limits[worker.slot] = min(runs, self._limits[worker.slot])
                    self._observer.warned(f"{worker.slot}: {runs} runs at once from now on: {reason}")
                else:
                    self._uncapturable.add(jobs[0].run.configuration)
                    self._observer.warned(f"{jobs[0].run.configuration}: not captured, and slower for it: {reason}")

    def _return(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._observer.returned(job)
        self._waiting.extendleft(reversed(jobs))

    def _bury(self, worker: _Worker) -> None:
        """Say what becomes of the runs of a worker that is gone: one alone was the cause, of several any may be."""
        code = worker.process.exitcode
        if self._target is not work:
            for job in worker.held.values():
                self._observer.ended(job)
            return
        begun = [job for run_id, job in worker.held.items() if run_id in worker.begun and code]
        self._return([job for job in worker.held.values() if job not in begun])
        if len(begun) > 1:
            self._observer.warned(f"{worker.slot}: a worker of {len(begun)} runs died; each goes on in one of its own")
            self._return([replace(job, pack=1) for job in begun])
            return
        for job in begun:
            _blame(job, code)
            self._observer.ended(job)


def worker_context() -> multiprocessing.context.ForkServerContext:
    """Return what starts workers, each of one thread: this process's environment says so from here on."""
    # Workers are forked from a server that has imported what they need: they start at once, each with a clean memory.
    # One thread each: two threads on a busy machine cost many times what they save.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def _blame(job: Job, code: int | None) -> None:
    """Write why the run stopped where its worker could not."""
    if code and job.folder.path.exists() and not job.folder.error.exists():
        died = f"signal {-code}" if code < 0 else f"exit status {code}"
        job.folder.fail(f"the worker died ({died}) before it could say why")
