"""``lipschitz status``: how far each run has come."""

import time
from contextlib import ExitStack
from pathlib import Path
from socket import gethostname

import pytest

from lipschitz.commands import status
from lipschitz.sweep.heartbeat import Beat, Heartbeat
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
    silent = f"step 50 of 120, on {gethostname()}, no sign of life for 20 min"
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


def test_a_heartbeat_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path / "heartbeat.json")
    (tmp_path / "heartbeat.json").write_text('{"step": 5, "steps": 10, "time": 1.0}')
    beat = heartbeat.read()
    assert beat == Beat(5, 10, 1.0)
    assert beat.seconds_left is None
    (tmp_path / "heartbeat.json").write_text('{"step": 5, "steps": 10, "time": 1.0, "began": [1], "host": "a"}')
    assert heartbeat.read() is None
