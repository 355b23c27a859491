"""Disk space: looked at before a sweep starts; a full disk stops it in one line and loses nothing."""

import errno
import json
import os
import shutil
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command_line import lipschitz
from sweeps import ONE_CPU, SMALL, ProgressLog, write

from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.disk_space import check_space, needed_bytes
from lipschitz.sweep.engine.base import DiskFull
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Dispatcher
from lipschitz.sweep.run_folder import RunFolder

ENGINE = Path(__file__).parents[1] / "support" / "in_process_engine.py"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    runs = load_sweep(write(tmp_path)).runs
    return [Job(run, tmp_path, ONE_CPU, "cpu", {}, "cpu: a") for run in runs]


def test_the_space_is_that_of_the_networks_and_of_the_checkpoints_in_use(jobs: list[Job]) -> None:
    # A generator 2 -> 8 -> 2 and a discriminator 2 -> 8 -> 1 of float32, with biases.
    weights = 4 * ((2 * 8 + 8 + 8 * 2 + 2) + (2 * 8 + 8 + 8 + 1))
    assert needed_bytes(jobs) == len(jobs) * 2 * weights + 3 * 4 * weights
    kept = [replace(job, site=replace(ONE_CPU, keep_checkpoints=True)) for job in jobs]
    assert needed_bytes(kept) == len(jobs) * (2 + 2 * 4) * weights + 3 * 4 * weights


def test_too_little_space_is_refused_or_warned_of(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    needed = needed_bytes(jobs)
    free = {"bytes": needed}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, free["bytes"]))
    check_space(jobs, warnings.append)
    assert warnings == []
    free["bytes"] = needed - 1
    check_space(jobs, warnings.append)
    assert warnings == [f"{jobs[0].sweep}: 0.0 MB are needed for 4 runs, and 0.0 MB are free"]
    free["bytes"] = needed // 2 - 1
    with pytest.raises(InputError, match="are free; make space, or use another --out"):
        check_space(jobs, warnings.append)


def outcomes(folder: Path) -> Any:
    found = {}
    for run in sorted((folder / "runs").iterdir()):
        lines = [json.loads(line) for line in (run / "records.jsonl").read_text(encoding="utf-8").splitlines()]
        found[run.name] = [(line["step"], line["metric"], line["value"]) for line in lines]
    return found


@pytest.mark.parametrize("place", ["records", "checkpoint", "result"])
def test_a_full_disk_stops_the_sweep_and_every_run_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = write(tmp_path, SMALL.replace("[0, 1]", "[0]").replace("120", "20").replace("40", "10"))
    options = ("--no-report", "--device", "cpu", "--workers", 1, "--engine", f"{ENGINE}:Untimed")
    assert lipschitz("sweep", path, *options, "--out", "whole", cwd=tmp_path).returncode == 0
    calls = {"n": 0}

    def fills(real: Any, at: int) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            calls["n"] += 1
            if calls["n"] >= at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        if place == "records":
            patch.setattr(RunFolder, "append_records", fills(RunFolder.append_records, 3))
        elif place == "checkpoint":
            patch.setattr("torch.save", fills(__import__("torch").save, 3))
        else:
            patch.setattr(RunFolder, "finish", fills(RunFolder.finish, 1))
        done = lipschitz("sweep", path, *options, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left on device; every run that began has a checkpoint" in done.stderr
    out = tmp_path / "results" / "small"
    assert len(list(out.glob("runs/*"))) == 1, "no further run was tried"
    assert list(out.glob("runs/*/error.txt")) == []
    assert lipschitz("sweep", path, *options, cwd=tmp_path).returncode == 0
    assert outcomes(out) == outcomes(tmp_path / "whole")


def says_that_the_disk_is_full(_: Job, channel: Connection) -> None:
    channel.send(("full", "/results: No space left on device"))


def test_the_dispatcher_stops_all_workers(jobs: list[Job]) -> None:
    with pytest.raises(DiskFull, match="/results: No space left on device"):
        Dispatcher(jobs, ONE_CPU.devices, ProgressLog(), entry=says_that_the_disk_is_full).run()
    assert not any(job.folder.error.exists() for job in jobs)
