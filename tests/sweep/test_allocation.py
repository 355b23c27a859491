"""Workers keep the memory that torch frees, by variables that every glibc accepts."""

import json
import os
from multiprocessing.connection import Connection
from pathlib import Path

from sweeps import write
from test_local import Diary

from lipschitz.sweep.job import Job
from lipschitz.sweep.local import run_jobs
from lipschitz.sweep.spec import load_sweep

ACCEPTED = 2**25
"""Half of glibc's largest heap on 64-bit machines: before 2.35 it ignores a higher threshold for mapping."""


def tells_its_environment(job: Job, channel: Connection) -> None:
    (job.sweep / "environment.json").write_text(json.dumps(dict(os.environ)))


def test_workers_start_with_thresholds_that_every_glibc_accepts(tmp_path: Path) -> None:
    run = load_sweep(write(tmp_path)).runs[0]
    run_jobs([Job(run, tmp_path, None, "cpu", {})], ["cpu"], Diary(), target=tells_its_environment)
    environment = json.loads((tmp_path / "environment.json").read_text())
    mapped, trimmed = (int(environment[f"MALLOC_{kind}_THRESHOLD_"]) for kind in ("MMAP", "TRIM"))
    # What is not mapped one by one lies in the heap, which must then not be trimmed either.
    assert 2**22 <= mapped <= ACCEPTED < trimmed
    assert environment["OMP_NUM_THREADS"] == "1"
