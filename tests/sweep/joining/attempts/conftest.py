"""Tests of attempts make a run that counts, which takes no time."""

from pathlib import Path

import pytest
from counter_task import Counter
from one_run import TINY
from sweeps import write

from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "build", lambda job, data=None: Counter())


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return load_sweep(write(tmp_path, TINY, "tiny.yaml"), out=tmp_path / "tiny")


@pytest.fixture
def run(sweep: Sweep) -> RunFolder:
    return SweepFolder(sweep.folder).run(sweep.runs[0].id)
