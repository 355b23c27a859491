"""Set up a worker's process: how it is started, its threads, float32 arithmetic, memory and signals."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from lipschitz.signals import SIGNALS
from lipschitz.tf32 import multiply_float32

PRELOAD = [
    "lipschitz.sweep.engine.worker",
    "torch._dynamo",
    "torch.export._trace",
    "scipy.optimize",
    "scipy.spatial.distance",
    "sklearn.datasets",
]
"""What every worker imports sooner or later: torch imports its compiler as soon as it makes an optimiser, and traces
networks with it."""
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt(3)."""


def worker_context() -> multiprocessing.context.ForkServerContext:
    """Return the context that starts workers of one thread each. It sets that in this process's environment, too."""
    # Workers are forked from a server that has imported what they need: they start at once, each with a clean memory.
    # One thread each: two threads on a busy machine cost many times what they save.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def start_process(target: Callable[..., object], *arguments: Any, name: str) -> tuple[BaseProcess, Connection]:
    """Start a process that calls ``target`` with the arguments and a channel; return it, and our end of the channel.

    ``target`` calls `prepare_process` first: until then the process ignores the signals that ask it to stop.
    """
    context = worker_context()
    _start_server()
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs), name=name)
    process.start()
    theirs.close()
    return process, ours


def _start_server() -> None:
    """Start the fork server, unless it runs, with those signals blocked that may be sent to the whole group.

    It outlives them, so that the engine learns how its workers end. A worker gets such a signal once it is set up.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        # It would be ended by a SIGUSR1, too. Its start unblocks SIGINT and SIGTERM.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare_process(stop: Callable[[], object] | None = None) -> None:
    """Set up a worker: `set_up_torch`; it dies when its parent does; signals.

    Ctrl-C and SIGHUP, which a terminal sends to all of its processes, are left to the parent. SIGTERM and SIGUSR1 call
    ``stop``, and end the process where that is None.
    """
    set_up_torch()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, (lambda *_: stop()) if stop else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_die_with_parent, daemon=True).start()


@contextmanager
def ending_process() -> Iterator[None]:
    """End the process after the block, also where code of a run has left threads that do not end."""
    code = 1
    try:
        yield
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def set_up_torch() -> None:
    """Let torch compute on one thread, in float32 without TF32, and keep the memory that it frees."""
    torch.set_num_threads(1)
    # On CUDA torch lets convolutions use TF32 unless told otherwise.
    multiply_float32("ieee")
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let glibc keep all memory that is freed, for the next tensor; another C library is left as it is.

    By default glibc returns each large tensor's memory to the system, and gets it again page by page, zeroed, in every
    step.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)


def _die_with_parent() -> None:
    # A parent that was killed cannot stop its workers, and an orphan would keep the run's folder locked.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
