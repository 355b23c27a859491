"""The command line in this process: much faster than a process for each command."""

import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import NamedTuple
from unittest import mock

from lipschitz.cli import main


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def lipschitz(*arguments: object, cwd: Path, silent_seconds: float = TIMEOUT_MAX) -> Done:
    """Run ``lipschitz`` with these arguments in the folder ``cwd``.

    A command that is silent for ``silent_seconds`` says what it is doing, as on a busy machine; by default it never does.
    """
    out, err = StringIO(), StringIO()
    silence = mock.patch("lipschitz.commands.progress_lines.SILENT_SECONDS", silent_seconds)
    argv = mock.patch.object(sys, "argv", ["lipschitz", *map(str, arguments)])
    code: object = 0
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err), argv, silence:
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


def swept(path: Path, *options: object) -> Done:
    """Run a sweep in the folder of its file with two workers, without the report."""
    return lipschitz("sweep", path, "--workers", 2, "--no-report", *options, cwd=path.parent)
