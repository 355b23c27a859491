"""Set up a worker's process: how it is started, its threads, float32 arithmetic, memory and signals."""

import ctypes
import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import wait

import torch

from lipschitz.tf32 import multiply_float32

PRELOAD = [
    "lipschitz.sweep.engine.worker",
    "torch._dynamo",
    "scipy.optimize",
    "scipy.spatial.distance",
    "sklearn.datasets",
]
"""What every worker imports sooner or later; torch imports its compiler as soon as it makes an optimiser."""
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


def prepare_process() -> None:
    """Set up a worker: `set_up_torch`; the terminal's Ctrl-C is ignored; the worker dies when its parent does."""
    set_up_torch()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


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
