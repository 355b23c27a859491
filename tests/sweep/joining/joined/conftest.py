"""Tests of joined sweeps make runs that count, which take no time."""

import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from counter_task import Counter
from sweeps import write
from two_runs import TINY, alone, found

from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.engine.job import Job


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "build", lambda job, data=None: Counter())
    monkeypatch.setattr(Counter, "parts", lambda task: {"ms_discriminator_step": lambda: None})
    monkeypatch.setattr("lipschitz.sweep.joining.members.BEAT_SECONDS", 3600.0)
    number = count()
    monkeypatch.setattr("secrets.token_hex", lambda n: f"{os.getpid() * 100 + next(number):08x}")


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return load_sweep(write(tmp_path, TINY, "tiny.yaml"), out=tmp_path / "tiny")


@pytest.fixture
def expected(sweep: Sweep) -> dict[str, Any]:
    alone(sweep)
    kept = found(sweep)
    shutil.rmtree(sweep.folder)
    return kept
