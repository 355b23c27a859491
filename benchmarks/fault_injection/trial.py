"""One try of a fault, in a folder of its own: disturb a sweep, do what a user would, and compare the results."""

import random
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from fault_injection import commands
from fault_injection.outcome import Outcome, compare, read_runs, tracebacks_in, unclear
from fault_injection.references import ENGINE
from lipschitz import cli

PATIENCE = 60.0
"""Seconds after which a process hangs."""


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Hung(BaseException):
    """A process did not end."""


class Trial:
    """A try. ``name`` is the sweep that is disturbed: ``points`` or ``images``."""

    def __init__(self, scratch: Path, references: Path, rng: random.Random, name: str = "points") -> None:
        self.scratch, self._references, self.rng, self.name = scratch, references, rng, name
        self.place = scratch / "place"
        self.outcome = Outcome()
        self.started: list[commands.Process] = []
        self._said: list[str] = []

    def begin(self, state: str, *, timings: bool = True) -> None:
        """Copy the sweep: ``whole``, ``half``, or ``new``, without results except, if wanted, timings."""
        source = self._references / self.name / ("whole" if state == "new" else state)
        shutil.copytree(source, self.place, symlinks=True)
        if state == "new":
            for path in self.folder.iterdir():
                if path.name != "timing" or not timings:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def folder(self) -> Path:
        """The results folder."""
        return self.place / "results" / self.name

    @property
    def runs(self) -> list[Path]:
        """The folders of the runs in the order of the plan: of a half sweep the first is finished, the second begun."""
        expected = self.expected
        order = ["none", "spectral_normalization", "weight_clipping"] if self.name == "points" else ["s0", "s1"]
        ids = [next(name for name in expected if f"-{key}-" in name) for key in order]
        return [self.folder / "runs" / name for name in ids]

    @property
    def expected(self) -> dict[str, dict[str, Any]]:
        """What an undisturbed sweep measured, by run."""
        return read_runs(self._references / self.name / "whole" / "results" / self.name)

    @property
    def expected_records(self) -> int:
        """The number of records of an undisturbed sweep."""
        return sum(len(run["records"]) for run in self.expected.values())

    # --- commands in this process

    def call(self, *arguments: object) -> Done:
        """Call ``lipschitz`` in this process; an exception counts as a traceback."""
        done = call(self.place, *arguments)
        self.heard(done)
        return done

    def sweep(self, *options: object) -> Done:
        """Run the sweep in this process, without a report."""
        done = swept(self.place, self.name, *options)
        self.heard(done)
        return done

    def look(self) -> None:
        """Look at the results as a user would: status, what a report reads, and the check of all files."""
        self.call("status", self.folder)
        if any(
            command.name == "verify" or command.callback.__name__ == "verify" for command in cli.app.registered_commands
        ):
            self.call("verify", self.folder)
        self.heard(read_as_report(self.folder))

    def heard(self, done: Done) -> None:
        """Keep what a command said: tracebacks, unclear lines, and lines about what is wrong."""
        self.outcome.tracebacks += tracebacks_in(done.stdout) + tracebacks_in(done.stderr)
        lines = [*commands.error_lines(done.stdout), *done.stderr.splitlines()]
        self.outcome.unclear += unclear(commands.error_lines(done.stdout) + done.stderr.splitlines())
        self._said += [
            line for line in lines if line.strip() and "timings differ" not in line and "not timed" not in line
        ]

    @property
    def said(self) -> list[str]:
        """What was said about what is wrong, line by line."""
        return self._said

    # --- real processes

    def start(self, *options: object, command: str = "sweep", **settings: Any) -> commands.Process:
        """Start a command in a process of its own; a sweep has two workers and writes no report."""
        arguments = (
            [command, f"{self.name}.yaml", "--workers", 2, "--no-report"]
            if command == "sweep"
            else [command, self.folder]
        )
        outputs = self.scratch / f"process{len(self.started)}"
        begin = settings.pop("begin", commands.start)
        process = begin([*arguments, *options], self.place, outputs, **settings)
        self.started.append(process)
        return process

    def wait_for_records(self, process: commands.Process, share: float | None = None) -> float:
        """Wait until a random share of all records is written, and a moment more; return the share."""
        share = self.rng.random() * 0.95 if share is None else share
        while process.is_running() and commands.records_written(self.folder) < share * self.expected_records:
            self.pause(commands.POLL)
        self.pause(self.rng.random() * 0.05)
        return share

    def pause(self, seconds: float) -> None:
        """Wait."""
        commands.time.sleep(seconds)

    def ended(self, process: commands.Process, patience: float = PATIENCE) -> Done:
        """Wait for the end of a process and keep what it said; kill a process that hangs."""
        if not process.wait(patience):
            process.signal_group(commands.signal.SIGKILL)
            process.wait(10)
            self.outcome.how = "hung"
            raise Hung(f"no end after {patience:g} s")
        code = process.returncode
        assert code is not None
        done = Done(code, *process.output())
        self.heard(done)
        return done

    # --- the end

    def settle(self, mend: Callable[[], object]) -> None:
        """Sweep with the fault in place and look at the results; ``mend`` what is named, and compare at the end."""
        done = self.sweep()
        self.look()
        same = self._equals()
        if done.returncode == 2:
            self.how("refused")
            mend()
        elif done.returncode == 1:
            self.how("failed alone")
            mend()
        elif done.returncode == 0 and same:
            self.how("equal")
        elif self.said:
            self.how("named")
            mend()
        else:
            self.how("silent")
        self.finish()

    def how(self, word: str) -> None:
        """Say what happened, unless it is worse already."""
        if self.outcome.how != "hung":
            self.outcome.how = word

    def finish(self, expected: Mapping[str, dict[str, Any]] | None = None) -> None:
        """Run what is left in this process, and compare with what is expected: by default the undisturbed sweep."""
        done = swept(self.place, self.name)
        if done.returncode:
            self.heard(done)
        self.compare(expected)

    def compare(self, expected: Mapping[str, dict[str, Any]] | None = None) -> None:
        """Count what is lost, doubled and changed."""
        compare(dict(expected or self.expected), read_runs(self.folder), self.outcome)

    def _equals(self) -> bool:
        outcome = Outcome()
        compare(self.expected, read_runs(self.folder), outcome)
        return not (outcome.lost or outcome.doubled or outcome.changed)


def swept(place: Path, name: str, *options: object) -> Done:
    """Run a sweep in this process, without a report; its data are in the folder ``place``."""
    return call(
        place, "sweep", f"{name}.yaml", "--engine", f"{ENGINE}:InProcess", "--no-report", "--workers", 1,
        "--data-root", ".", *options,
    )  # fmt: skip


def call(place: Path, *arguments: object) -> Done:
    """Call ``lipschitz`` in this process in the folder ``place``."""
    out, err = StringIO(), StringIO()
    argv = mock.patch.object(sys, "argv", ["lipschitz", *map(str, arguments)])
    code: object = 0
    with chdir(place), redirect_stdout(out), redirect_stderr(err), argv:
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        except Hung:
            raise
        except BaseException:
            traceback.print_exc()
            code = 1
    return Done(code if isinstance(code, int) else 1, out.getvalue(), err.getvalue())


def read_as_report(folder: Path) -> Done:
    """Read a results folder as a report does, without drawing."""
    from lipschitz.errors import InputError
    from lipschitz.report.reading.results import load
    from lipschitz.report.statistics.summary import Summary

    try:
        summary = Summary(load(folder))
        return Done(
            0,
            "".join(f"warning: {line}\n" for line in [*summary.results.warnings, summary.frame.empty and ""] if line),
            "",
        )
    except InputError as error:
        return Done(2, "", f"error: {error}\n")
    except OSError as error:
        return Done(2, "", f"error: {error}\n")
    except Exception:
        return Done(1, "", traceback.format_exc())
