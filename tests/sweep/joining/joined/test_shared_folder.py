"""Who may share the folder of a sweep, who times and reports, who waits, and what status shows of them."""

import errno
import fcntl
import os
import re
import time
from pathlib import Path
from socket import gethostname
from types import SimpleNamespace
from typing import Any

import pytest
from sweeps import ProgressLog, write
from two_runs import SITE, TINY, alone, joined

from lipschitz.commands import join
from lipschitz.commands.status import show_status
from lipschitz.errors import InputError
from lipschitz.sweep.definition.sweep_file import Sweep, load_sweep
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.engine.job import unfinished_jobs
from lipschitz.sweep.folder_lock import locked_folder
from lipschitz.sweep.joining.members import read_member
from lipschitz.sweep.joining.shared_folder import shared_folder
from lipschitz.sweep.store import SweepFolder

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


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
