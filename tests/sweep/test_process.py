"""Workers compute on one thread, and keep the memory that torch frees."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sweeps import ONE_CPU, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local

MIB = 2**20
PAGES = 64 * MIB // resource.getpagesize()
"""Of a tensor that is larger than any that glibc keeps by itself."""


def count_faults(_: Job, answer: Callable[[dict[str, Any]], None]) -> None:
    """Answer how many pages were got from the system by ten tensors in turn, each freed before the next.

    Aligned memory needs a little more than a freed piece has: it takes some tensors until pieces have grown together.
    """
    for _ in range(20):
        torch.zeros(16 * MIB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(16 * MIB)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    answer({"faults": faults, "threads": torch.get_num_threads()})


def test_a_worker_keeps_the_memory_that_torch_frees(tmp_path: Path) -> None:
    if not Path("/lib").joinpath("ld-linux-x86-64.so.2").exists() and not Path("/lib64/ld-linux-x86-64.so.2").exists():
        pytest.skip("needs glibc")
    run = load_sweep(write(tmp_path)).runs[0]
    seen = Local().call(count_faults, Job(run, tmp_path, ONE_CPU, "cpu", {}))
    assert seen["threads"] == 1
    assert seen["faults"] < PAGES, "each tensor would else take all of its pages anew"
