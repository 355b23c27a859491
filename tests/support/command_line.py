"""The command line in this process: much faster than a process for each command."""

import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from lipschitz.cli import main


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def lipschitz(*arguments: object, cwd: Path) -> Done:
    """Run ``lipschitz`` with these arguments in the folder ``cwd``."""
    out, err = StringIO(), StringIO()
    argv = mock.patch.object(sys, "argv", ["lipschitz", *map(str, arguments)])
    code: object = 0
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err), argv:
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


def swept(path: Path, *options: object) -> Done:
    """Run a sweep in the folder of its file with two workers, without the report."""
    return lipschitz("sweep", path, "--workers", 2, "--no-report", *options, cwd=path.parent)
