"""What a worker's process is set up to be."""

import ctypes
import os
import signal
import threading
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import wait

import torch

from lipschitz.tf32 import multiply_float32

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's mallopt(3)."""


def prepare_process() -> None:
    """Set up a worker: `set_up_torch`, deaf to the terminal's Ctrl-C, dead when its parent is."""
    set_up_torch()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def set_up_torch() -> None:
    """Let torch compute on one thread, in float32 that is no TF32, and keep the memory that it frees."""
    torch.set_num_threads(1)
    # On CUDA torch lets convolutions take TF32 unless told otherwise.
    multiply_float32("ieee")
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let glibc keep all memory that is freed, for the next tensor; another C library is left as it is.

    Else it gives each large tensor's memory back, and gets it again page by page, zeroed, in every step.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)


def _die_with_parent() -> None:
    # A parent that was killed cannot stop its workers, and an orphan would hold the run's folder.
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
