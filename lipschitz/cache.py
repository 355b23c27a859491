"""Cache computed values in files of the cache folder, each named by a hash of what it depends on."""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from lipschitz.errors import InputError, first_line
from lipschitz.files import write_atomically
from lipschitz.locks import lock

T = TypeVar("T")
_log = logging.getLogger(__name__)


def cache_folder(*parts: str) -> Path:
    """Return ``$XDG_CACHE_HOME/lipschitz/<parts>``, by default below ``~/.cache``; create it if it is missing.

    Raises:
        InputError: it cannot be created.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "lipschitz", *parts)
    try:
        folder = folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"cannot create the cache folder {folder}: {error}; set XDG_CACHE_HOME to another folder"
        ) from error
    return folder


class Cache(Generic[T]):
    """Cached files of one kind.

    Args:
        what: what a file holds, as a warning names it.
        suffix: suffix of the file's name, without the dot.
        read: reads a file. It may raise any exception if the file is damaged or of another kind.
        write: writes a value to an open file.
        digits: length of the file's name, up to the 64 hex digits of a SHA-256.
    """

    def __init__(
        self,
        what: str,
        suffix: str,
        read: Callable[[Path], T],
        write: Callable[[BinaryIO, T], object],
        digits: int = 16,
    ) -> None:
        self._what, self._suffix, self._read, self._write, self._digits = what, suffix, read, write, digits

    def get(self, folder: Path, facts: Any, compute: Callable[[], T]) -> T:
        """Return the value that depends on ``facts`` alone: read from ``folder``, or computed and written there.

        ``facts`` is a JSON value. Processes that ask at the same time compute the value once. A file that cannot be
        read is replaced, with a warning. If ``compute`` raises, nothing is written.

        Raises:
            InputError: the folder cannot be written.
        """
        name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[: self._digits]
        path = folder / f"{name}.{self._suffix}"
        try:
            with lock(path.with_suffix(".lock"), wait=True):
                found = self._found(path)
                if found is None:
                    found = compute()
                    value = found
                    write_atomically(path, lambda file: self._write(file, value))
                return found
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}; set XDG_CACHE_HOME to another folder") from error

    def _found(self, path: Path) -> T | None:
        if not path.exists():
            return None
        try:
            return self._read(path)
        # The type of the exception depends on where the file is damaged.
        except Exception as error:
            _log.warning("computing %s again: cannot read %s (%s)", self._what, path, first_line(error))
            return None


def json_cache(what: str) -> Cache[Any]:
    """Return a cache of JSON values, whose files have names of 64 digits."""
    return Cache(
        what,
        "json",
        lambda path: json.loads(path.read_text(encoding="utf-8"))["found"],
        lambda file, value: file.write(json.dumps({"found": value}).encode()),
        digits=64,
    )
