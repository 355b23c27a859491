"""What a sweep prints where nobody looks at a live display: a line every minute."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.progress import Progress as Bars
from sweeps import ONE_CPU, SMALL, write

from lipschitz.sweep import display
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job, all_jobs
from lipschitz.sweep.store import SweepFolder
from lipschitz.terminal import Terminal


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    plan = load_sweep(write(tmp_path, SMALL), out=tmp_path / "out")
    jobs = all_jobs(plan, SweepFolder(plan.folder), ONE_CPU, {})
    for job in jobs:
        job.folder.path.mkdir(parents=True)
    return jobs


def test_a_line_says_runs_steps_time_to_go_and_the_last_metric(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(display.time, "monotonic", lambda: now)
    console = Terminal(width=200)
    shown = display.RunsDisplay(console, Bars(console=console, disable=True), jobs, 5)
    assert shown.line() == "1/5 runs done, 0 running, step 0 of 480"
    first, second = jobs[:2]
    shown.started(first)
    shown.started(second)
    # The first was resumed at step 60: its speed is that of the 20 steps since.
    shown.stepped(first, 60)
    shown.stepped(first, 80)
    now = 110.0
    first.folder.heartbeat.write(80, 120, (60, 1.0), ("w1", 0.25))
    assert shown.line() == (
        f"1/5 runs done, 2 running, step 80 of 480, about 3 min to go, last {first.run.id}: step 80 of 120, w1 0.25"
    )
    shown.returned(second)
    assert shown.line().startswith("1/5 runs done, 1 running, ")


def test_a_line_says_how_much_of_the_timing_pass_is_done(jobs: list[Job]) -> None:
    console = Terminal(width=200)
    shown = display.TimingDisplay(Bars(console=console, disable=True), [[replace(jobs[0], device="cpu")]])
    shown.ended(jobs[0])
    assert shown.line() == "timing each configuration alone: 1 of 3 timings done"


def test_lines_are_printed_only_where_there_is_no_live_display(capsys: pytest.CaptureFixture[str]) -> None:
    twice = threading.Event()
    seen: list[int] = []

    def line() -> str:
        seen.append(1)
        if len(seen) == 2:
            twice.set()
        return "so far"

    with display.regular_lines(Terminal(width=80), line, seconds=0.001):
        assert twice.wait(60)
    assert capsys.readouterr().out.startswith("so far\nso far\n")
    terminal = Terminal(width=80)
    terminal._force_terminal = True
    with display.regular_lines(terminal, pytest.fail, seconds=0.001):
        pass
