"""The local engine: one process a run, as many at once as there are slots; one that dies takes no other with it."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from lipschitz.sweep.worker import Job, work

PRELOAD = ["lipschitz.sweep.worker", "torch._dynamo", "scipy.optimize", "scipy.spatial.distance", "sklearn.datasets"]
"""What every worker would import sooner or later; torch imports its compiler as soon as it makes an optimiser."""
ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""glibc keeps what torch frees, tensors up to 32 MiB: else each step gives memory back and gets it again page by page.

Before 2.35 glibc ignores a higher first threshold, and the second alone, which stops the first from adapting, makes a
step slower than neither does.
"""
GRACE = 60.0
"""Seconds that workers have to finish a slice and write a checkpoint once told to stop."""


class Observer(Protocol):
    """Who is told how the sweep goes."""

    def started(self, job: Job) -> None:
        """``job`` was given to a worker."""

    def stepped(self, job: Job, step: int) -> None:
        """``job`` has reached ``step``."""

    def warned(self, line: str) -> None:
        """Something was noticed that costs no result."""

    def ended(self, job: Job) -> None:
        """The worker of ``job`` is gone; the run's folder says how it went."""


@dataclass
class _Active:
    job: Job
    process: BaseProcess
    channel: Connection
    slot: str


def run_jobs(
    jobs: Sequence[Job],
    slots: Sequence[str],
    observer: Observer,
    target: Callable[[Job, Connection], None] = work,
) -> None:
    """Run ``target`` on every job, each in a process of its own on the device of a free slot, in order.

    A KeyboardInterrupt stops the workers after the slice in hand and is raised again.
    """
    waiting, free = deque(jobs), deque(slots)
    active: list[_Active] = []
    context = _context()
    try:
        while waiting or active:
            while waiting and free:
                slot = free.popleft()
                active.append(_start(context, replace(waiting.popleft(), device=slot), slot, target))
                observer.started(active[-1].job)
            ready = wait([*(a.channel for a in active), *(a.process.sentinel for a in active)])
            for one in list(active):
                if one.channel in ready:
                    _listen(one, observer)
                if not one.process.is_alive():
                    _listen(one, observer)
                    one.process.join()
                    one.channel.close()
                    if target is work:
                        _blame(one)
                    active.remove(one)
                    free.append(one.slot)
                    observer.ended(one.job)
    finally:
        if active:
            observer.warned("stopping: workers write their checkpoints")
        for one in active:
            one.process.terminate()
        for one in active:
            one.process.join(GRACE)
            one.process.kill()


def _context() -> multiprocessing.context.ForkServerContext:
    # Workers are forked from a server that has imported what they need: they start at once, each with a clean memory.
    # One thread each: two threads on a busy machine cost many times what they save.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    for variable, value in ALLOCATION.items():
        os.environ.setdefault(variable, value)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def _start(
    context: multiprocessing.context.ForkServerContext,
    job: Job,
    slot: str,
    target: Callable[[Job, Connection], None],
) -> _Active:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(job, theirs), name=job.run.id)
    process.start()
    theirs.close()
    return _Active(job, process, ours, slot)


def _listen(one: _Active, observer: Observer) -> None:
    try:
        while one.channel.poll():
            kind, value = one.channel.recv()
            if kind == "step":
                observer.stepped(one.job, value)
            else:
                observer.warned(value)
    except (EOFError, OSError):
        # The worker is gone: its sentinel says so too, and only that counts.
        pass


def _blame(one: _Active) -> None:
    """Write why the run stopped where its worker could not."""
    code, folder = one.process.exitcode, one.job.folder
    if code and folder.path.exists() and not folder.error.exists():
        died = f"signal {-code}" if code < 0 else f"exit status {code}"
        folder.fail(f"the worker died ({died}) before it could say why")
