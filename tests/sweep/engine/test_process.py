"""Workers compute on one thread, and keep the memory that torch frees."""

import json
import resource
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from diary import Diary
from sweeps import write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import run_jobs
from lipschitz.sweep.engine.process import prepare_process

MIB = 2**20
PAGES = 64 * MIB // resource.getpagesize()
"""Of a tensor that is larger than any that glibc keeps by itself."""


def counts_faults(job: Job, channel: Connection) -> None:
    """Write how many pages were got from the system by ten tensors in turn, each freed before the next.

    Aligned memory needs a little more than a freed piece has: it takes some tensors until pieces have grown together.
    """
    prepare_process()
    for _ in range(20):
        torch.zeros(16 * MIB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(16 * MIB)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    (job.sweep / "seen.json").write_text(json.dumps({"faults": faults, "threads": torch.get_num_threads()}))


def test_a_worker_keeps_the_memory_that_torch_frees(tmp_path: Path) -> None:
    if not Path("/lib").joinpath("ld-linux-x86-64.so.2").exists() and not Path("/lib64/ld-linux-x86-64.so.2").exists():
        pytest.skip("needs glibc")
    run = load_sweep(write(tmp_path)).runs[0]
    run_jobs([Job(run, tmp_path, None, "cpu", {})], ["cpu"], Diary(), target=counts_faults)
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["threads"] == 1
    assert seen["faults"] < PAGES, "each tensor would else take all of its pages anew"
