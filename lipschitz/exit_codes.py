"""Exit codes of the command line: what ends a command becomes one line on stderr, and a code."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from lipschitz.errors import InputError, printable
from lipschitz.files import full_disk

FAILED, WRONG_INPUT = 1, 2
"""Exit codes, besides 0: a run failed, a file is damaged, the disk is full; the input was wrong. A stop by a signal is
128 + its number, 130 for Ctrl-C, except of a sweep by SIGTERM or SIGUSR1, which schedulers send: `GO_ON_LATER`."""
GO_ON_LATER = 75
"""Exit code of a sweep that has saved its checkpoints and is to be run again: EX_TEMPFAIL of sysexits(3)."""
LACKING = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of a machine that has no more processes, open files or memory to give."""
# typer has no public name for it; the module that it is in depends on typer's version.
UsageError: Any = typer.BadParameter.__base__
"""A wrong option, argument or subcommand."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error of the user or the machine that ends the block into its line and the exit with its code."""
    try:
        yield
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "lipschitz"
        message = " ".join(error.format_message().split()).rstrip(".")
        print(f"error: {printable(message)}; see `{command} --help`", file=sys.stderr)
        raise SystemExit(WRONG_INPUT) from None
    except typer.Abort:
        raise SystemExit(FAILED) from None
    except InputError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(WRONG_INPUT) from None
    except OSError as error:
        if error.errno in LACKING:
            print(f"error: {error.strerror}: a limit of this machine or user; see `ulimit -a`", file=sys.stderr)
            raise SystemExit(FAILED) from None
        if error.filename is None:
            raise
        print(f"error: {printable(os.fsdecode(error.filename))}: {error.strerror}", file=sys.stderr)
        raise SystemExit(FAILED if full_disk(error) else WRONG_INPUT) from None
    except UnicodeEncodeError as error:
        if error.encoding != sys.getfilesystemencoding():
            raise
        name = printable(error.object)
        print(f"error: {name}: file names are {error.encoding} here; set LC_ALL=C.UTF-8", file=sys.stderr)
        raise SystemExit(WRONG_INPUT) from None
