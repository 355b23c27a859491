"""Checksums of result files: a JSON object holds its own; a damaged file is noticed when it is read, and set aside."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from errno import EINVAL, EIO, EISDIR, ELOOP, ENOENT, ENOTDIR
from itertools import count
from pathlib import Path
from typing import Any

from lipschitz.files import read_json, read_parts, write_json

KEY, PREFIX = "checksum", "sha256:"
"""The key of a JSON object's checksum, and how its value begins: one flipped bit cannot hide both."""
SHOWN = 12
"""Hex digits of a hash in a message."""


class DamagedFile(ValueError):
    """A file is not as it was written, or is that of another run."""


def sealed(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a JSON object with its checksum.

    Args:
        value: the object, without the key ``checksum``.
        name: of the file, with its run where it is a run's. It is part of what is hashed, so that the file of one run
            is noticed in the folder of another.
    """
    return {**value, KEY: _checksum(value, name)}


def unsealed(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Check what `sealed` returned, and return it without the checksum; an object of an earlier version has none.

    Raises:
        DamagedFile: the checksum is another.
    """
    content = {key: part for key, part in value.items() if key != KEY}
    if is_sealed(value) and value.get(KEY) != _digest(content, name):
        raise DamagedFile("its content does not have its checksum: damaged, or another run's")
    return content


def write_sealed(path: Path, value: Mapping[str, Any], name: str) -> None:
    """Write a JSON object with its checksum, atomically; see `sealed`."""
    write_json(path, sealed(value, name))


def read_sealed(path: Path, name: str) -> dict[str, Any]:
    """Return the object in a JSON file without its checksum; see `unsealed`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no JSON object.
        DamagedFile: the checksum is another.
    """
    return unsealed(read_json(path), name)


def is_sealed(value: Mapping[str, Any]) -> bool:
    """Return whether a JSON object has a checksum, even one whose key is damaged."""
    return KEY in value or any(isinstance(part, str) and part.startswith(PREFIX) for part in value.values())


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a regular file, in hex."""
    digest = hashlib.sha256()
    for part in read_parts(path):
        digest.update(part)
    return digest.hexdigest()


def json_lines(values: Iterable[Any]) -> bytes:
    """Return one line of JSON per value. A number that is not finite raises ValueError."""
    return "".join(json.dumps(value, allow_nan=False) + "\n" for value in values).encode()


def is_damage(error: Exception) -> bool:
    """Return whether an error of reading a file says that the file is damaged or gone, not that it cannot be opened."""
    if isinstance(error, OSError):
        return error.errno in (EINVAL, EIO, EISDIR, ELOOP, ENOENT, ENOTDIR)
    return True


def set_aside(path: Path) -> Path:
    """Rename a file to ``<name>.broken``, or to a further name if there is one already; return the new path."""
    for number in count():
        target = path.with_name(f"{path.name}.broken{f'.{number}' if number else ''}")
        if not (target.exists() or target.is_symlink()):
            return path.rename(target)
    raise AssertionError


def _checksum(value: Mapping[str, Any], name: str) -> str:
    # As it is read back, so that keys that are no strings are sorted as strings.
    return _digest(json.loads(json.dumps(value)), name)


def _digest(content: Mapping[str, Any], name: str) -> str:
    """Return the checksum of an object as it was read."""
    return PREFIX + hashlib.sha256(_CANONICAL.encode({name: content}).encode()).hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
"""Made once: a sweep may have thousands of files."""
