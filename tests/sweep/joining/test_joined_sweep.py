"""Processes that share a sweep: whatever happens to one, the others end with the records of an undisturbed sweep."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from socket import gethostname
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import lipschitz
from counter_task import Counter
from crash_points import crash_points, crashed
from in_process_engine import InProcess
from sweeps import ProgressLog, write

from lipschitz.commands import join
from lipschitz.commands.status import show_status
from lipschitz.errors import InputError
from lipschitz.sweep.attempt import Attempt, Superseded
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.engine.job import Job, unfinished_jobs
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.folder_lock import locked_folder
from lipschitz.sweep.joining.members import read_member
from lipschitz.sweep.joining.shared_folder import shared_folder
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.store import SweepFolder

# Checkpoints within and between evaluations: steps 0, 50, 80, 100, 120.
TINY = """\
    name: tiny
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 2, depth: 1}}]
    constraints: [none]
    seeds: [0, 1]
    training: {steps: 120, batch_size: 2}
    evaluation: {every: 80, samples: 8, gradient_samples: 2}
"""
SITE = Site(("cpu",), checkpoint_seconds=0.0, joins=True)
ENGINE = Path(__file__).parents[2] / "support" / "in_process_engine.py"
EVERY = 9
"""Of the crash points of a sweep one in so many is tried, in another place of the plan each time."""

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


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


def joined(sweep: Sweep, engine: InProcess | None = None) -> Callable[[], None]:
    def call() -> None:
        with shared_folder(sweep, force=False, lease=60.0, say=print) as shared:
            shared.define(sweep, {"commit": None})
            jobs = unfinished_jobs(sweep, shared.folder, SITE, {"device": "cpu: a"})
            (engine or InProcess()).run(shared.jobs(jobs), SITE, ProgressLog())

    return call


def alone(sweep: Sweep) -> None:
    with locked_folder(sweep, force=False, say=print) as folder:
        folder.remove_leftovers(run.id for run in sweep.runs)
        for job in unfinished_jobs(sweep, folder, SITE, {"device": "cpu: a"}):
            train(job, ProgressLog())


def found(sweep: Sweep) -> dict[str, Any]:
    """Return what the runs of a folder hold, without what a clock says and how often they were started."""
    runs = {}
    for run in sweep.runs:
        folder = RunFolder(sweep.folder / "runs" / run.id)
        assert folder.status() == "finished"
        result, samples = folder.result(), folder.samples()
        assert result
        assert samples
        runs[run.id] = (
            {key: value for key, value in result.items() if key != "seconds"},
            [(record["step"], record["metric"], record["value"]) for record in folder.records()],
            {name: array.tobytes() for name, array in samples.items()},
            {key: value for key, value in folder.definition().items() if key != "provenance"},
        )
    return runs


def names(sweep: Sweep) -> set[str]:
    """Return the files of a sweep, without the lock and without temporary files, which a later sweep removes."""
    paths = [path for path in sweep.folder.rglob("*") if path.name != "lock"]
    return {
        str(path.relative_to(sweep.folder)) for path in paths if not path.name.startswith((".provenance", ".sweep"))
    }


@pytest.fixture
def expected(sweep: Sweep) -> dict[str, Any]:
    alone(sweep)
    kept = found(sweep)
    shutil.rmtree(sweep.folder)
    return kept


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


def test_another_plan_and_a_sweep_by_itself_are_refused(sweep: Sweep, tmp_path: Path) -> None:
    other = load_sweep(write(tmp_path, TINY.replace("[0, 1]", "[0, 1, 2]"), "other.yaml"), out=sweep.folder)
    with shared_folder(sweep, force=False, lease=60.0, say=print) as shared:
        shared.define(sweep, {})
        with pytest.raises(InputError, match=r"has joined with another sweep file.*seeds was \[0, 1\]"):
            joined(other)()
        with pytest.raises(InputError, match="processes that joined a sweep are running in this folder"):
            alone(sweep)
    with locked_folder(sweep, force=False, say=print), pytest.raises(InputError, match="without --join"):
        joined(sweep)()
    joined(other)()
    assert len(SweepFolder(sweep.folder).run_ids()) == 3, "once nobody is there, a sweep may grow"


def test_who_joins_with_other_code_is_told_so(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    where = "lipschitz.sweep.joining.shared_folder.code_in_words"
    monkeypatch.setattr(where, lambda: "lipschitz 0.1.0 at commit aaaa")
    with shared_folder(sweep, force=False, lease=60.0, say=said.append) as first:
        member = read_member(first._own.path)
        assert member is not None
        assert member.code == "lipschitz 0.1.0 at commit aaaa"
        with shared_folder(sweep, force=False, lease=60.0, say=said.append):
            assert said == [], "the same code"
        monkeypatch.setattr(where, lambda: "lipschitz 0.1.0 at commit bbbb with changes")
        with shared_folder(sweep, force=False, lease=60.0, say=said.append):
            pass
    assert said == [
        f"warning: process {os.getpid()} on {gethostname()} has joined with other code, lipschitz 0.1.0 at commit aaaa; "
        "this process has lipschitz 0.1.0 at commit bbbb with changes: their runs may not be comparable"
    ]
    with shared_folder(sweep, force=False, lease=60.0, say=said.append):
        assert len(said) == 1, "nobody else is there"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.EDQUOT])
def test_a_folder_that_cannot_be_shared_is_one_clear_line(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fails)
    with pytest.raises(InputError, match=rf"tiny: results cannot be written here: {os.strerror(number)}; --join needs"):
        joined(sweep)()
    alone(sweep)


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


def test_one_process_of_a_host_times_and_the_others_wait(sweep: Sweep) -> None:
    said: list[str] = []
    with (
        shared_folder(sweep, force=False, lease=60.0, say=print) as first,
        shared_folder(sweep, force=False, lease=60.0, say=print) as second,
    ):
        with first.timing("cpu: a", lambda: True, said.append) as is_ours:
            assert is_ours
            needed = iter([True, False])
            with second.timing("cpu: a", lambda: next(needed), said.append) as is_theirs:
                assert not is_theirs, "it was timed meanwhile"
            with second.timing("cuda: b", lambda: True, said.append) as is_theirs:
                assert is_theirs, "another kind of device is measured by itself"
        with second.timing("cpu: a", lambda: True, said.append) as is_theirs:
            assert is_theirs, "the first has not timed it"
        with second.timing("cpu: a", lambda: False, said.append) as is_theirs:
            assert not is_theirs
    assert said == [f"waiting for process {os.getpid()} on {gethostname()}, which times the configurations"]


def test_one_process_reports(sweep: Sweep) -> None:
    with (
        shared_folder(sweep, force=False, lease=60.0, say=print) as first,
        shared_folder(sweep, force=False, lease=60.0, say=print) as second,
    ):
        assert first.claims_report() is None
        assert second.claims_report() is not None
        first.leave_report()
        assert second.claims_report() is None


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


def test_who_waits_for_the_choice_of_settings_knows_whether_others_make_its_runs(sweep: Sweep) -> None:
    ids = [run.id for run in sweep.runs]
    with (
        shared_folder(sweep, force=False, lease=60.0, say=print) as first,
        shared_folder(sweep, force=False, lease=60.0, say=print) as second,
    ):
        first.define(sweep, {})
        assert not second.are_made(ids)
        job = first.jobs(unfinished_jobs(sweep, first.folder, SITE, {})).take()
        assert job is not None
        assert second.are_made(ids)
        assert not first.are_made(ids), "its own are no reason to wait"
        train(job, ProgressLog())
        assert not second.are_made(ids), "it is over, though its claim is there"


def test_a_process_waits_for_runs_by_which_settings_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def waiting(*names: str) -> Any:
        return SimpleNamespace(waiting=names, runs=[])

    plans, made = iter([waiting("a"), waiting("a"), waiting()]), iter([True, True])
    request: Any = SimpleNamespace(plan=lambda: next(plans))
    shared: Any = SimpleNamespace(are_made=lambda _: next(made))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert join._once_chosen(request, waiting("a"), waiting("a"), shared).waiting == ()
    assert next(plans, None) is None


def test_status_shows_who_makes_a_run_and_locks_nothing(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> None:
        raise AssertionError("locked")

    monkeypatch.setattr(fcntl, "flock", fails)
    with shared_folder(sweep, force=False, lease=60.0, say=print) as shared:
        shared.define(sweep, {})
        queue = shared.jobs(unfinished_jobs(sweep, shared.folder, SITE, {}))
        job = queue.take()
        assert job is not None
        job.folder.path.mkdir(parents=True)
        job.folder.heartbeat.write(50, 120)
        assert show_status(sweep.folder) == {"running": 1, "waiting": 1}
        who = f"process {os.getpid()} on {gethostname()}"
        assert f"running  {job.run.id}  step 50 of 120, {who}\n" in capsys.readouterr().out
        job.folder.fail("no")
        assert show_status(sweep.folder) == {"failed": 1, "waiting": 1}, "its claim stays"
        job.folder.error.unlink()
        capsys.readouterr()
    assert show_status(sweep.folder, disk=True) == {"waiting": 2}
    shown = capsys.readouterr().out
    assert f"waiting  {job.run.id}  interrupted, step 50 of 120\n" in shown
    assert re.search(r"kB in 3 files \(other [\d.]+ kB\); [\d.]+ .B are free", shown)


def test_who_has_no_run_left_waits_only_until_it_knows_that_the_others_live(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)) / 100)
    with (
        shared_folder(sweep, force=False, lease=60.0, say=print) as first,
        shared_folder(sweep, force=False, lease=60.0, say=print) as second,
    ):
        first.define(sweep, {})
        queues = [each.jobs(unfinished_jobs(sweep, sweep_folder(sweep), SITE, {})) for each in (first, second)]
        taken = [queues[0].take(), queues[0].take()]
        assert None not in taken
        assert queues[1].take() is None
        assert queues[1], "the first may be lost"
        member = read_member(first._own.path)
        assert member is not None
        first._own.path.write_text(first._own.path.read_text().replace(f"{0:020}", f"{1:020}"))
        assert queues[1].take() is None
        assert not queues[1], "it was seen to live"
        for _ in range(300):
            time.monotonic()
        assert queues[1], "that was some time ago"
        first._own.leave()
        taken = [queues[1].take(), queues[1].take()]
        assert None not in taken, "who has left holds nothing"


def sweep_folder(sweep: Sweep) -> SweepFolder:
    return SweepFolder(sweep.folder)
