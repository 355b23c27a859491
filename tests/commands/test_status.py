"""``lipschitz status``: how far each run has come."""

import time
from pathlib import Path

import pytest

from lipschitz.commands import status
from lipschitz.sweep.store import SweepFolder


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
        "running  running  step 50 of 120",
        "waiting  hanging  interrupted, step 50 of 120",
    ]
    later = time.time() + 1200
    monkeypatch.setattr(time, "time", lambda: later)
    with runs["hanging"].writing():
        status.show_status(tmp_path)
    assert "running  hanging  step 50 of 120, no sign of life for 20 min\n" in capsys.readouterr().out
