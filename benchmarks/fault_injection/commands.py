"""Start the command line in real processes, which are signalled, limited and watched.

The processes are forked from this one, which has imported everything; so is the server that workers are forked from.
Signals, files and pipes are those of ``python -m lipschitz``; only the seconds of the imports are saved. `from_start`
starts the interpreter as a user does.
"""

import importlib
import os
import re
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import util
from pathlib import Path
from typing import Any

from lipschitz import cli

POLL = 0.004
SERVER = "from multiprocessing.forkserver import main"


class Process:
    """A process in a group of its own; its output is in files."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid, self._folder = pid, folder
        self.returncode: int | None = None

    def is_running(self) -> bool:
        """Say whether it has not ended."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode is None

    def wait(self, seconds: float) -> bool:
        """Wait for the end; return whether it came within ``seconds``."""
        end = time.monotonic() + seconds
        while self.is_running():
            if time.monotonic() > end:
                return False
            time.sleep(POLL)
        return True

    def signal(self, number: int, pid: int | None = None) -> None:
        """Send a signal to it, or to ``pid``; nothing happens where that has ended."""
        with suppress(ProcessLookupError):
            os.kill(pid or self.pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to it and to all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def server(self) -> int | None:
        """Return the process id of the server that workers are forked from, or None."""
        return next((pid for pid in children(self.pid) if is_server(pid, self._folder)), None)

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        server = self.server()
        return children(server) if server else []

    def output(self) -> tuple[str, str]:
        """Return what was written to stdout and to stderr so far."""
        texts = [(self._folder / name).read_bytes().decode(errors="replace") for name in ("stdout", "stderr")]
        return texts[0], texts[1]


def children(pid: int) -> list[int]:
    """Return the process ids of the children of ``pid``."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == pid:
            found.append(int(path.name))
    return found


def is_server(pid: int, folder: Path) -> bool:
    return (folder / f"server.{pid}").exists()


def start(
    arguments: Sequence[object],
    cwd: Path,
    outputs: Path,
    *,
    limits: Mapping[int, int] = {},
) -> Process:
    """Start ``lipschitz`` with ``arguments`` in the folder ``cwd``; its output goes to files in ``outputs``.

    ``limits`` are resource limits by kind.
    """
    outputs.mkdir(parents=True, exist_ok=True)
    for name in ("stdout", "stderr"):
        (outputs / name).touch()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _become(cwd, outputs)
            sys.argv = ["lipschitz", *map(str, arguments)]
            for kind, limit in limits.items():
                resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
            cli.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return Process(pid, outputs)


def from_start(arguments: Sequence[object], cwd: Path, outputs: Path) -> Process:
    """Start ``python -m lipschitz`` with ``arguments``."""
    outputs.mkdir(parents=True, exist_ok=True)
    with (outputs / "stdout").open("wb") as out, (outputs / "stderr").open("wb") as err:
        command = [sys.executable, "-m", "lipschitz", *map(str, arguments)]
        started = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=err, start_new_session=True)
    # `Process` waits for it.
    started.returncode = 0
    return Process(started.pid, outputs)


def _become(cwd: Path, outputs: Path) -> None:
    """Make this fork look like a new process of the command line."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        file = os.open(outputs / name, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, descriptor)
    sys.stdout, sys.stderr = (
        open(descriptor, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        for descriptor in (1, 2)
    )
    os.chdir(cwd)
    # Workers import the main module of their parent.
    sys.modules["__main__"] = importlib.import_module("lipschitz.__main__")
    original = util.spawnv_passfds

    def spawn(path: Any, arguments: Sequence[Any], passed: Sequence[int]) -> int:
        code = os.fsdecode(arguments[-1])
        return _fork_server(code, passed, outputs) if code.startswith(SERVER) else original(path, arguments, passed)

    util.spawnv_passfds = spawn


def _fork_server(code: str, passed: Sequence[int], outputs: Path) -> int:
    pid = os.fork()
    if pid:
        # A folder, not a file: this process may have no file left to open.
        (outputs / f"server.{pid}").mkdir()
        return pid
    try:
        kept = sorted({0, 1, 2, *passed})
        for first, last in zip(kept, [*kept[1:], 1024], strict=True):
            os.closerange(first + 1, last)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        exec(code, {})
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(0)


def records_written(folder: Path) -> int:
    """Return the number of lines in the records of all runs."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("runs/*/records.jsonl"))


def error_lines(text: str) -> list[str]:
    """Return the lines of an output that say what went wrong."""
    return [
        line
        for line in text.splitlines()
        if re.match(r"(error|warning|failed|stopp|wait|damaged|\d+/\d+ failed)", line)
    ]
