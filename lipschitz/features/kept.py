"""What is computed once and kept in the cache, by the hash of all that it follows from."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from lipschitz.errors import InputError, first_line
from lipschitz.files import lock, write_atomically

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Kept(Generic[T]):
    """A kind of file: what it holds, how it is read, how it is written.

    ``read`` may raise whatever it likes of a file that is torn or foreign.
    """

    def __init__(
        self, what: str, suffix: str, read: Callable[[Path], T], write: Callable[[BinaryIO, T], object]
    ) -> None:
        self._what, self._suffix, self._read, self._write = what, suffix, read, write

    def get(self, folder: Path, facts: dict[str, Any], compute: Callable[[], T]) -> T:
        """Return what ``facts`` name, out of ``folder``, or computed now.

        Processes that ask for it at once compute it once. A file that cannot be used is named in a warning, and
        replaced.

        Raises:
            InputError: the folder cannot be written.
        """
        name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
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
        # What a torn or foreign file raises depends on where it is torn.
        except Exception as error:
            _log.warning("computing %s anew: %s cannot be used (%s)", self._what, path, first_line(error))
            return None
