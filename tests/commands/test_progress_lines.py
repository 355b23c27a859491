"""A command is never silent for long: the step that it is at is printed, and again while it takes long."""

import io
import sys
import threading

import pytest

from lipschitz.commands import progress_lines as module
from lipschitz.commands.progress_lines import progress_lines, starting_line


class Lines(io.StringIO):
    """A stream that says when it holds some lines."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.full = threading.Event()
        self._number = number

    def flush(self) -> None:
        if self.getvalue().count("\n") >= self._number:
            self.full.set()


def test_a_long_step_is_printed_again_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.001)
    monkeypatch.setattr(sys, "stderr", shown := Lines(3))
    with progress_lines("report") as progress:
        progress("reading runs")
        assert shown.full.wait(60)
    first, second, *_ = shown.getvalue().splitlines()
    assert first == "report: reading runs ..."
    assert second == "report: reading runs ... 0 s"


def test_steps_that_follow_soon_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_lines("report", every=1e6) as progress:
        progress("figure 1")
        progress.speak()
        progress("figure 2")
    assert capsys.readouterr().err == "report: figure 1 ...\n"


def test_a_quiet_command_prints_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.0)
    with progress_lines("report", quiet=True) as progress:
        progress("reading runs")
        progress("making tables")
    assert capsys.readouterr().err == ""


def test_a_command_that_has_to_import_torch_says_at_once_that_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STARTING_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", shown := Lines(1))
    with starting_line("lipschitz sweep", heavy=["not_imported"]):
        assert shown.full.wait(60)
    assert shown.getvalue() == "lipschitz sweep: starting ...\n"
    with starting_line("lipschitz sweep", heavy=["io"]):
        pass
    assert shown.getvalue() == "lipschitz sweep: starting ...\n"
