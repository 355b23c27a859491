"""Processes that share a sweep: whatever happens to one, the others end with the records of an undisturbed sweep."""

import errno
import fcntl
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import lipschitz
from crash_points import crash_points, crashed
from in_process_engine import InProcess
from sweeps import ProgressLog
from two_runs import ENGINE, SITE, alone, found, joined, names

from lipschitz.errors import InputError
from lipschitz.sweep.attempt import Attempt, Superseded
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.store import SweepFolder

EVERY = 9
"""Of the crash points of a sweep one in so many is tried, in another place of the plan each time."""

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def test_a_process_that_crashes_at_any_point_leaves_the_rest_to_another(sweep: Sweep, expected: dict[str, Any]) -> None:
    points = crash_points(joined(sweep), sweep.folder)
    assert found(sweep) == expected
    files = names(sweep)
    run = sweep.runs[0].id
    assert {f"runs/{run}/{name}" for name in ("run.json", "result.json", "records.jsonl", "samples.npz")} <= files
    assert not [name for name in files if "attempt" in name or "joined" in name], "nothing is left of the attempts"
    assert sum(point.startswith("after link") for point in points) >= 5, "a member, two claims, two results"
    for at in range(0, len(points), EVERY):
        shutil.rmtree(sweep.folder)
        if crashed(joined(sweep), sweep.folder, at):
            joined(sweep)()
        assert found(sweep) == expected, points[at]
        assert names(sweep) == files, points[at]


def test_a_sweep_by_itself_goes_on_where_a_process_that_joined_was_killed(
    sweep: Sweep, expected: dict[str, Any]
) -> None:
    points = crash_points(joined(sweep), sweep.folder)
    files = names(sweep)
    middle = [at for at, point in enumerate(points) if point.startswith("after replace") and "checkpoint" in point]
    for at in (
        middle[1],
        middle[-1],
        points.index(next(point for point in points if "before link" in point and "result" in point)),
    ):
        shutil.rmtree(sweep.folder)
        assert crashed(joined(sweep), sweep.folder, at)
        assert list(sweep.folder.glob("runs/*/attempt-*"))
        alone(sweep)
        assert found(sweep) == expected, points[at]
        assert {name for name in names(sweep) if name.startswith("runs")} <= files


class StopsAt(InProcess):
    """Gets a signal once a run has come to a step."""

    step: int = 50
    number: int = int(signal.SIGTERM)

    def run(self, jobs: Any, site: Site, progress: Any) -> None:
        log, number, at = ProgressLog(), self.number, self.step

        class Watching(ProgressLog):
            def stepped(self, job: Job, step: int) -> None:
                log.stepped(job, step)
                if step == at:
                    signal.raise_signal(number)

        super().run(jobs, site, Watching())


def test_a_process_that_is_told_to_stop_leaves_its_checkpoint_to_the_next(
    sweep: Sweep, expected: dict[str, Any]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        joined(sweep, StopsAt())()
    (attempt,) = sweep.folder.glob("runs/*/attempt-*")
    assert json.loads((attempt / "heartbeat.json").read_text())["step"] == 50
    before = (attempt / "checkpoint.pt").read_bytes()
    resumed: list[str] = []

    class Log(InProcess):
        def run(self, jobs: Any, site: Site, progress: Any) -> None:
            log = ProgressLog()
            super().run(jobs, site, log)
            resumed.extend(line for line in log.lines if line.startswith("step"))

    sweep_folder = SweepFolder(sweep.folder)
    assert sweep_folder.run(attempt.parent.name).status() == "waiting"
    joined(sweep, Log())()
    assert before
    assert found(sweep) == expected
    seed = next(str(run.seed) for run in sweep.runs if run.id == attempt.parent.name)
    assert next(line for line in resumed if line.endswith(f"of {seed}")) == f"step 80 of {seed}", "not from its start"


def test_the_first_of_two_attempts_counts_and_the_other_is_dropped(sweep: Sweep, expected: dict[str, Any]) -> None:
    """As where a process was stopped for longer than a lease, and goes on when another has made its run."""
    job = Job(sweep.runs[0], sweep.folder, SITE, "cpu", {"device": "cpu: a"}, "cpu: a", attempt="attempt-aa-0")
    slow = job.folder
    assert isinstance(slow, Attempt)
    slow.open()
    slow.define({"id": job.run.id})
    slow.append_records([{"step": 0, "seconds": 0.0, "metric": "distance", "value": 7.0}])
    joined(sweep)()
    assert found(sweep) == expected
    slow.open()
    with pytest.raises(Superseded):
        slow.finish({"status": "finished", "step": 1}, {})
    assert train(job, ProgressLog()) is None, "a run that is over is not begun again"
    assert not slow.path.exists()
    assert found(sweep) == expected


def test_locks_that_lie_or_fail_are_not_asked(
    sweep: Sweep, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fails)
    monkeypatch.setattr(fcntl, "lockf", fails)
    joined(sweep)()
    assert found(sweep) == expected
    with pytest.raises(InputError, match="tiny: results cannot be written here: No locks available"):
        alone(sweep)


def test_two_processes_make_each_run_once_and_one_of_them_reports(tmp_path: Path, expected: dict[str, Any]) -> None:
    path = tmp_path / "tiny.yaml"
    options = (path, "--join", "--engine", f"{ENGINE}:Untimed", "--workers", 1, "--out", tmp_path / "tiny")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = lipschitz("sweep", *options, "--no-report", cwd=tmp_path).returncode
        finally:
            os._exit(code)
    done = lipschitz("sweep", *options, "--no-report", cwd=tmp_path)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert done.returncode == 0, done.stderr
    assert found(load_sweep(path, out=tmp_path / "tiny")) == expected


def test_a_run_that_another_process_ends_before_it_is_looked_at_is_not_damaged(
    sweep: Sweep, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ends(jobs: list[Job]) -> None:
        train(replace(jobs[0], attempt="attempt-bb-0"), ProgressLog())

    monkeypatch.setattr("lipschitz.commands.join.check_begun", ends)
    options = ("--join", "--engine", f"{ENGINE}:Untimed", "--workers", 1, "--out", tmp_path / "tiny", "--no-report")
    done = lipschitz("sweep", tmp_path / "tiny.yaml", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "damaged" not in done.stdout + done.stderr
    assert found(sweep) == expected
