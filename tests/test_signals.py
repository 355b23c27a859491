"""Signals: a command that works raises on the first one, a command that only reads ends at once, both in one line."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from lipschitz.signals import SIGNALS, Stopped, raise_if_stopped, stopping_at_once, stopping_cleanly

ROOT = Path(__file__).parents[1]


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*environment.values(), str(ROOT)])
    command = [sys.executable, "-c", f"import signal, lipschitz.signals as own\n{code}"]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_raises_and_its_repetitions_are_one_with_it(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with stopping_at_once():
        with pytest.raises(Stopped, match=f"^{number.name}$") as stopped, stopping_cleanly():
            signal.raise_signal(number)
        # `timeout` sends one to the process, and one to its group.
        signal.raise_signal(number)
    assert stopped.value.code == 128 + number
    assert isinstance(stopped.value, KeyboardInterrupt), "engines of others stop on that"
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_without_a_signal_the_handlers_are_as_before() -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with stopping_cleanly():
        pass
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_second_signal_ends_the_process_while_it_stops() -> None:
    done = python(
        "own.REPEAT_SECONDS = -1\n"
        "with own.stopping_cleanly():\n"
        "    try:\n        signal.raise_signal(signal.SIGINT)\n"
        "    finally:\n        signal.raise_signal(signal.SIGTERM)\n"
        "        print('not reached')"
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_what_writes_nothing_ends_at_once_in_one_line(name: str, code: int) -> None:
    done = python(f"with own.stopping_at_once():\n    print('kept', end='')\n    signal.raise_signal(signal.{name})")
    assert (done.returncode, done.stdout, done.stderr) == (code, "kept", f"stopped by {name}\n")


def test_a_signal_that_is_ignored_stays_so() -> None:
    done = python(
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with own.stopping_at_once(), own.stopping_cleanly():\n    signal.raise_signal(signal.SIGHUP)\nprint('on')"
    )
    assert done.stdout == "on\n"


def test_a_stop_during_the_imports_is_one_line(tmp_path: Path) -> None:
    # The command line imports this package first.
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    done = python("import lipschitz.__main__\nlipschitz.__main__.main()", first=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "stopped by SIGTERM\n")


def test_a_stop_whose_exception_was_lost_is_raised_again() -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    try:
        with stopping_cleanly():
            raise_if_stopped()
            with suppress(Stopped):
                signal.raise_signal(signal.SIGUSR1)
            with pytest.raises(Stopped, match="SIGUSR1"):
                raise_if_stopped()
        raise_if_stopped()
    finally:
        for each, handler in zip(SIGNALS, before, strict=True):
            signal.signal(each, handler)
