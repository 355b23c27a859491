"""What a worker's process is set up to be."""

import os
import signal
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait

import torch

from lipschitz.arithmetic import multiply_float32


def prepare_process() -> None:
    """Set up a worker: one thread, float32 that is no TF32, deaf to the terminal's Ctrl-C, dead when its parent is."""
    torch.set_num_threads(1)
    # On CUDA torch lets convolutions take TF32 unless told otherwise.
    multiply_float32("ieee")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    # A parent that was killed cannot stop its workers, and an orphan would hold the run's folder.
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
