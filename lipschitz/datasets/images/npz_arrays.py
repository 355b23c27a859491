"""Read arrays of an .npz file, after its headers were checked: a small file can claim more than the memory."""

import math
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from lipschitz.errors import InputError, MissingInput, first_line, printable
from lipschitz.files import open_regular

MEMORY_SHARE = 1 / 2
"""Largest share of the machine's memory that arrays may take: images are copied once while they are prepared."""
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""What reads the header of each version of the format that numeric arrays have."""


class Header(NamedTuple):
    """What an array claims to be."""

    shape: tuple[int, ...]
    dtype: np.dtype


def read_arrays(
    path: Path, names: Sequence[str], check: Callable[[Mapping[str, Header]], None]
) -> dict[str, np.ndarray]:
    """Return the arrays called ``names``. No object is unpickled, and CRCs are checked.

    ``check`` is called with the headers, before memory is allocated; it raises InputError if they do not suit.

    Raises:
        InputError: the file cannot be read, is damaged, lacks an array, or its arrays do not fit into memory.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            members = {name: _member(archive, name, names, path) for name in names}
            check({name: _header(archive, member) for name, member in members.items()})
            _check_memory([member.file_size for member in members.values()], path)
            return {name: _array(archive, member) for name, member in members.items()}
    except InputError:
        raise
    except OSError as error:
        reason = printable(error.strerror or str(error))
        raise (MissingInput if isinstance(error, FileNotFoundError) else InputError)(
            f"cannot read {printable(str(path))}: {reason} (the data root is set by --data-root)"
        ) from error
    # The type of the exception depends on where the file is damaged.
    except Exception as error:
        raise InputError(
            f"{printable(str(path))} is not an .npz file or is truncated: {short(first_line(error))}"
        ) from error


def short(value: object) -> str:
    """Return the text of a value from a file, on one line and not long."""
    text = printable(str(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _member(archive: zipfile.ZipFile, name: str, names: Sequence[str], path: Path) -> zipfile.ZipInfo:
    found = {member.filename: member for member in archive.infolist()}
    member = found.get(f"{name}.npy") or found.get(name)
    if member is None:
        others = ", ".join(other.removesuffix(".npy") for other in found) or "none"
        raise InputError(f"{path}: expected the arrays {' and '.join(names)}, got {short(others)}")
    return member


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"version {version} of the format of {member.filename}")
        shape, _, dtype = HEADERS[version](file)
        # An array of objects is a pickle of any length; a dtype that is not supported is refused later.
        if not dtype.hasobject and member.file_size - file.tell() != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the header of {member.filename} does not have the length of the array")
    return Header(shape, dtype)


def memory() -> int:
    """Return the bytes of the machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _check_memory(sizes: Sequence[int], path: Path) -> None:
    if (needed := sum(sizes)) > MEMORY_SHARE * memory():
        raise InputError(
            f"{path}: its arrays take {needed:,} bytes, more than half of the memory of {memory():,} bytes; "
            "use a folder of images, which can be streamed"
        )


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))
