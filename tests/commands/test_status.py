"""``lipschitz status``: how far each run has come."""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from socket import gethostname

import pytest

from lipschitz.commands import status
from lipschitz.commands.silence import Silence, Watched
from lipschitz.sweep.heartbeat import Beat, Heartbeat
from lipschitz.sweep.joining.members import OwnMember
from lipschitz.sweep.store import SweepFolder
from lipschitz.terminal import Terminal


def test_a_run_that_is_not_over_says_how_far_it_has_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, names = SweepFolder(tmp_path), ["new", "stopped", "failed", "done", "running", "hanging"]
    folder.define({"runs": names})
    runs = {name: folder.run(name) for name in names}
    for run in runs.values():
        run.path.mkdir(parents=True)
        if run is not runs["new"]:
            run.heartbeat.write(50, 120)
    runs["failed"].fail("no")
    runs["done"].finish({"status": "finished"}, {})
    with runs["running"].writing():
        status.show_status(tmp_path)
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "waiting  new",
        "waiting  stopped  interrupted, step 50 of 120",
        f"failed   failed  step 50 of 120  ({runs['failed'].error})",
        "finished done",
        f"running  running  step 50 of 120, on {gethostname()}",
        "waiting  hanging  interrupted, step 50 of 120",
    ]
    later = time.time() + 1200
    monkeypatch.setattr(time, "time", lambda: later)
    with runs["hanging"].writing():
        status.show_status(tmp_path)
    silent = f"step 50 of 120, on {gethostname()}, no step for 20 min"
    assert f"{silent}; it hangs: more than 10 min without a step\n" in capsys.readouterr().out
    with runs["hanging"].writing():
        status.show_status(tmp_path, hangs=1300.0)
    assert f"{silent}\n" in capsys.readouterr().out


def test_a_running_run_says_its_quality_and_its_time_to_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SweepFolder(tmp_path)
    folder.define({"runs": ["one", "done"]})
    run = folder.run("one")
    for name in ("one", "done", "of another plan"):
        folder.run(name).path.mkdir(parents=True)
    folder.run("done").finish({"status": "finished"}, {})
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    # 40 steps took 400 s: 70 are left.
    run.heartbeat.write(50, 120, (10, 600.0), ("fid/sngan", 31.256))
    waits: list[float] = []
    with ExitStack() as lock:
        lock.enter_context(run.writing())

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                lock.close()

        status.watch_status(tmp_path, Terminal(width=80), wait)
    shown = capsys.readouterr().out
    line = f"running  one  step 50 of 120, about 12 min to go, fid/sngan 31.3, on {gethostname()}\n"
    assert shown.count(line) == 2
    assert waits == [status.WATCH_SECONDS] * 2
    assert shown.count("waiting  one  interrupted, step 50 of 120, fid/sngan 31.3\n") == 1
    assert "finished done" not in shown
    assert f"1 folder in {tmp_path / 'runs'} not of this plan, and not reported; the first: of another plan" in shown


@pytest.mark.parametrize("skew", [-86400.0, 86400.0])
def test_a_run_on_another_machine_hangs_whatever_its_clock_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    folder = SweepFolder(tmp_path)
    folder.define({"runs": ["one"]})
    run = folder.run("one")
    member = OwnMember(folder.members, plan="p", joins=False)
    now = time.time()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("lipschitz.sweep.heartbeat.gethostname", lambda: "elsewhere")
        elsewhere.setattr(time, "time", lambda: now + skew)
        run.path.mkdir(parents=True)
        run.heartbeat.write(50, 120)
    with run.writing():
        for seconds, said in ((20.0, ""), (120.0, ", no step for 2 min"), (1200.0, ", no step for 20 min; it hangs")):
            # The times that a file server gives, by a clock of its own.
            os.utime(run.heartbeat.path, (now + skew, now + skew))
            os.utime(member.path, (now + skew + seconds, now + skew + seconds))
            status.show_status(tmp_path)
            line = capsys.readouterr().out.splitlines()[0]
            assert line.startswith(f"running  one  step 50 of 120, on elsewhere{said}"), line
            assert ("hangs" in line) == ("hangs" in said)
        member.leave()
        status.show_status(tmp_path)
        assert "no step" not in capsys.readouterr().out, "one look cannot tell"


def test_who_watches_notices_by_a_change_that_a_run_makes_no_step(tmp_path: Path) -> None:
    times = iter([0.0, 100.0, 700.0, 710.0, 800.0])
    watched, heartbeat = Watched(lambda: next(times)), Heartbeat(tmp_path / "heartbeat.json")
    silence, beat = Silence(600.0, watched, None), Beat(5, 10, 1e12, "elsewhere")
    said = [silence.in_words(heartbeat, beat) for _ in range(3)]
    assert said == ["", ", no step for 2 min", ", no step for 12 min; it hangs: more than 10 min without a step"]
    later = beat._replace(step=6)
    assert [silence.in_words(heartbeat, later) for _ in range(2)] == ["", ", no step for 2 min"]


def test_a_heartbeat_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path / "heartbeat.json")
    (tmp_path / "heartbeat.json").write_text('{"step": 5, "steps": 10, "time": 1.0}')
    beat = heartbeat.read()
    assert beat == Beat(5, 10, 1.0)
    assert beat.seconds_left is None
    (tmp_path / "heartbeat.json").write_text('{"step": 5, "steps": 10, "time": 1.0, "began": [1], "host": "a"}')
    assert heartbeat.read() is None
