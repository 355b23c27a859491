"""Hold locks that end with their process, and say which process holds one."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import gethostname

from lipschitz.process_identity import identity, is_gone


@contextmanager
def lock(path: Path, *, wait: bool, signed: bool = False) -> Iterator[bool]:
    """Hold the lock file ``path`` during the block; yield whether it was acquired. With ``wait`` it always is.

    The operating system releases the lock when the process ends, even after a crash. It counts on one machine alone:
    some network file systems let one process in on each. Where ``signed``, the file says which process holds it, for
    `lock_holder` and `is_held`; another content is lost.
    """
    # Not blocking: opening a pipe would wait for ever; it is an error instead.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    with open(os.open(path, flags, 0o666), "ab") as file:  # noqa: PTH123  # pathlib has no flags
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            # ENOLCK, ENOSYS: the error of the system names no file.
            error.filename = str(path)
            raise
        if signed:
            _sign(file.fileno(), f"process {os.getpid()} on {gethostname()}\n{identity()}")
        try:
            yield True
        finally:
            if signed:
                _sign(file.fileno(), "")


def _sign(descriptor: int, text: str) -> None:
    # A full disk costs only the name.
    with suppress(OSError):
        os.truncate(descriptor, 0)
        os.write(descriptor, text.encode())


def lock_holder(path: Path) -> str:
    """Return which process holds the signed lock file ``path``, where it is locked, such as "process 12 on a-host"."""
    text = _signature(path).partition("\n")[0]
    return text if text.startswith("process ") and text.isprintable() else "another process"


def is_held(path: Path) -> bool:
    """Return whether the signed lock file ``path`` names a process that may be alive. Nothing is locked to find out."""
    holder, _, named = _signature(path).partition("\n")
    # An earlier version named no process so, and left its signature.
    return holder.startswith("process ") and bool(named) and not is_gone(named)


def _signature(path: Path) -> str:
    try:
        return path.read_bytes()[:400].decode("ascii", "replace")
    except OSError:
        return ""
