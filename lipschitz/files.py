"""Write files atomically, so that a crash leaves the old or the new file; hold locks that end with their process."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from socket import gethostname
from typing import Any, BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file in the folder of ``path``, flush it to disk, and rename it to ``path``."""
    if path.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # The user knows ``path``; an error of a write names no file, others name the temporary one.
        error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically. A number that is not finite raises ValueError."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def lock(path: Path, *, wait: bool, signed: bool = False) -> Iterator[bool]:
    """Hold the lock file ``path`` during the block; yield whether it was acquired. With ``wait`` it always is.

    The operating system releases the lock when the process ends, even after a crash. Where ``signed``, the file says
    which process holds it, for `lock_holder`; another content is lost.
    """
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            if signed:
                # A full disk costs only the name.
                with suppress(OSError):
                    os.truncate(file.fileno(), 0)
                    os.write(file.fileno(), f"process {os.getpid()} on {gethostname()}".encode())
            yield True


def lock_holder(path: Path) -> str:
    """Return which process holds the signed lock file ``path``, where it is locked, such as "process 12 on a-host"."""
    try:
        text = path.read_bytes()[:200].decode("ascii", "replace")
    except OSError:
        text = ""
    return text if text.startswith("process ") and text.isprintable() else "another process"
