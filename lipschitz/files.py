"""Write files atomically, so that a crash leaves the old or the new file; read regular files only."""

import errno
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

_TEMPORARY = re.compile(r"\..+\.(\d+)", re.DOTALL)
"""Names of temporary files: a dot, the name of the file that is written, and the id of the process."""
_OLD = 3600.0
"""Seconds after which a temporary file of a process that is not here is taken for one that a crash left."""
_SMALL, _LARGE = 2**16, 2**20
"""Bytes that are read at a time."""
_NOT_REGULAR = "not a regular file"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file in the folder of ``path``, flush it to disk, and rename it to ``path``."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        # The user knows ``path``; an error of a write names no file, others name the temporary one.
        error.filename, error.filename2 = str(path), None
        raise
    finally:
        # An error here would hide the first one.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Force the names of the files in ``folder`` to disk: until then a power cut may undo a rename."""
    # Some file systems cannot do this for a folder, and some folders can be written but not read.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def keep_previous(path: Path, previous: Path) -> None:
    """Let ``previous`` be the file at ``path``, which stays: at every moment both names have a whole file.

    ``previous`` becomes a second link to the file or, where the file system has no hard links, a copy.
    """
    spare = _temporary(previous)
    try:
        spare.unlink(missing_ok=True)
        os.link(path, spare)
    except OSError:
        # Each file system has its own error for links that it does not have.
        with path.open("rb") as file:
            write_atomically(previous, lambda copy: shutil.copyfileobj(file, copy))
    else:
        spare.replace(previous)
        # Where both are links to one file already, as after a crash, a rename leaves both names.
        spare.unlink(missing_ok=True)
        sync_folder(previous.parent)


def remove_temporaries(folder: Path, *, is_locked: bool) -> None:
    """Remove the temporary files that crashed processes left in ``folder``.

    Args:
        folder: need not exist.
        is_locked: whether this process holds the lock without which no other one writes there. Otherwise a file is
            removed only if it is old and its process is not alive.
    """
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            name = _TEMPORARY.fullmatch(entry.name)
            if name and (is_locked or (_is_old(entry) and not _is_alive(int(name[1])))):
                Path(entry.path).unlink(missing_ok=True)


def _is_old(entry: os.DirEntry[str]) -> bool:
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _OLD


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def full_disk(error: BaseException | None) -> OSError | None:
    """Return ``error``, or the one that it arose from, if that is of a full disk or an exhausted quota; else None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error
        error = error.__cause__ or error.__context__
    return None


def open_regular(path: Path) -> BufferedReader:
    """Open a file to read its bytes, but no pipe, socket or device: to read one of these can take for ever.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """
    return os.fdopen(_open_regular(path)[0], "rb")


def _open_regular(path: Path) -> tuple[int, int]:
    """Open a regular file; return its descriptor and its size in bytes."""
    try:
        # Without O_NONBLOCK a pipe would be opened only when something writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            # A socket, or a device that is not there.
            raise OSError(errno.EINVAL, _NOT_REGULAR, str(path)) from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, _NOT_REGULAR, str(path))
    return descriptor, found.st_size


def check_regular(path: Path) -> None:
    """Check that a file can be opened without waiting, which is not so for a pipe.

    Raises:
        OSError: it is not there, or is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, _NOT_REGULAR, str(path))


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: it is not there, cannot be read, or is not a regular file.
    """
    return b"".join(read_parts(path))


def read_parts(path: Path) -> Iterator[bytes]:
    """Yield the content of a regular file, at most `_LARGE` bytes at a time.

    No buffer and few calls of the system: of thousands of runs each has several small files.

    Raises:
        OSError: see `read_bytes`.
    """
    descriptor, size = _open_regular(path)
    try:
        left = size
        # One byte more than there are: the file may grow meanwhile.
        while part := os.read(descriptor, min(max(size + 1, _SMALL), _LARGE)):
            yield part
            left -= len(part)
            if not left:
                return
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        OSError: see `read_bytes`.
        ValueError: the content is not JSON, which has no NaN and no infinity, or not an object.
    """
    try:
        value = _DECODER.decode(read_bytes(path).decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
"""Made once: a sweep may have thousands of files."""


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write ``content``, atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically; bytes of a file's name that are no text are written as escapes."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically. A number that is not finite raises ValueError."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def link_first(source: Path, target: Path) -> bool:
    """Give a file the further name ``target``, unless that is taken; return whether it is now this file.

    The file system decides which of several processes is the first, on any number of machines: no lock is needed.

    Raises:
        OSError: there are no hard links here, or the folder cannot be written.
    """
    try:
        os.link(source, target)
    except OSError as error:
        # A file server may have made the link and lost its answer, whatever the error is.
        with suppress(FileNotFoundError):
            if source.samefile(target):
                return True
        if isinstance(error, FileExistsError):
            return False
        error.filename, error.filename2 = str(target), None
        raise
    return True
