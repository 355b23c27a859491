"""Observers from a file, in the workers of a small sweep, also of runs that are interrupted."""

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sweeps import ONE_CPU, SMALL, ProgressLog, outcome, write

from lipschitz.extensions.entry import config_of
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.local import Local
from lipschitz.training.observers import OBSERVERS, Csv

OBSERVERS_FILE = """\
    import json
    import os
    from pathlib import Path

    from pydantic import PrivateAttr

    from lipschitz.training.observers import Observer


    class Lines(Observer):
        \"\"\"Writes what it is told; kills its own process at a step, once.\"\"\"

        name_of_file: str = "lines.jsonl"
        killed_at: int | None = None
        signal: int = 15

        _path: Path = PrivateAttr(Path())

        def on_start(self, folder, definition, step):
            self._path = folder / self.name_of_file
            self._write("start", definition["seed"], step)

        def on_step(self, step):
            self._write("step", step)
            mark = self._path.with_name("killed")
            if step == self.killed_at and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), self.signal)

        def on_record(self, step, seconds, values):
            self._write("record", step, values["w1"])

        def on_samples(self, arrays):
            self._write("samples", list(arrays["samples"].shape))

        def on_end(self, result):
            self._write("end", result["status"])

        def _write(self, *told):
            with self._path.open("a") as file:
                file.write(json.dumps(told) + "\\n")


    class Broken(Observer):
        \"\"\"Fails at the first evaluation.\"\"\"

        def on_record(self, step, seconds, values):
            raise ValueError("no")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(dedent(OBSERVERS_FILE))
    write(tmp_path, SMALL.replace(", spectral_normalization", ""))
    return tmp_path


def jobs(folder: Path, out: str, *observers: Any, pack: int = 1) -> list[Job]:
    made = tuple(config_of(OBSERVERS, entry, folder) for entry in observers)
    (folder / out).mkdir(exist_ok=True)
    site = replace(ONE_CPU, observers=made)
    job = Job(load_sweep(folder / "small.yaml").runs[0], folder / out, site, "cpu", {}, pack=pack)
    return [job, job.with_seed(1)]


def run(jobs: list[Job]) -> ProgressLog:
    log = ProgressLog()
    Local().run(jobs, jobs[0].site, log)
    return log


def told(job: Job, name: str = "lines.jsonl") -> list[Any]:
    return [json.loads(line) for line in (job.folder.path / name).read_text().splitlines()]


@pytest.mark.parametrize("pack", [1, 2])
def test_each_run_has_observers_of_its_own(folder: Path, pack: int) -> None:
    watched = jobs(folder, "watched", "mine.py:Lines", {"mine.py:Lines": {"name_of_file": "again.jsonl"}}, pack=pack)
    alone, log = jobs(folder, "alone"), run(watched)
    run(alone)
    for job, same in zip(watched, alone, strict=True):
        (_, records) = outcome(job)
        w1 = [["record", step, value] for step, metric, value in records if metric == "w1"]
        assert told(job) == [
            ["start", job.run.seed, 0],
            w1[0],
            ["step", 40],
            w1[1],
            ["step", 50],
            ["step", 80],
            w1[2],
            ["step", 100],
            ["step", 120],
            w1[3],
            ["samples", [1000, 2]],
            ["end", "finished"],
        ]
        assert told(job, "again.jsonl") == told(job)
        assert outcome(job) == outcome(same)
    assert log.warnings == []
    stepped = [f"step {step} of {seed}" for seed in (0, 1) for step in (40, 50, 80, 100, 120)]
    assert sorted(line for line in log.lines if line.startswith("step")) == sorted(stepped)


@pytest.mark.parametrize(("signal", "step"), [(15, 50), (9, 40)])
def test_a_resumed_run_tells_them_where_it_goes_on(folder: Path, signal: int, step: int) -> None:
    watched = jobs(folder, "watched", {"mine.py:Lines": {"killed_at": 50, "signal": signal}}, "csv")
    alone = jobs(folder, "alone", "csv")
    log = run(watched[:1])
    run(alone[:1])
    assert "started again from its checkpoint" in log.warnings[0]
    lines = told(watched[0])
    again = lines.index(["start", 0, step])
    assert lines[again - 1] == ["step", 50]
    after = lines[again:]
    assert [line[:2] for line in after if line[0] == "record"] == [["record", 80], ["record", 120]]
    assert after[-1] == ["end", "finished"]
    assert outcome(watched[0]) == outcome(alone[0])
    tables = [(job[0].folder.path / "metrics.csv").read_text().splitlines() for job in (watched, alone)]
    ours, theirs = ([line.split(",")[2:] for line in table] for table in tables)
    assert ours == theirs
    assert len(ours) == 5


def test_one_that_raises_costs_a_warning_and_nothing_else(folder: Path) -> None:
    job, _ = jobs(folder, "watched", "mine.py:Broken", "mine.py:Lines")
    assert run([job]).warnings == [
        f"{job.folder.path}: observer Broken failed in on_record and is dropped: ValueError: no"
    ]
    assert job.folder.status() == "finished"
    assert told(job)[-1] == ["end", "finished"]


def test_a_run_does_not_know_its_observers(folder: Path) -> None:
    job, _ = jobs(folder, "watched", "csv")
    assert job.site.observers == (Csv(),)
    assert job.run.id == replace(job, site=ONE_CPU).run.id
    assert "observer" not in json.dumps(job.run.definition(120))
