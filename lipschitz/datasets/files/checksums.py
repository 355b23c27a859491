"""MD5 checksums of published files."""

import hashlib
from pathlib import Path

from lipschitz.errors import InputError


def check_md5(path: Path, md5: str) -> None:
    """Check that a file is the published one.

    Raises:
        InputError: ``path`` cannot be read, or its MD5 is not ``md5``.
    """
    if (found := md5_of(path)) != md5:
        raise InputError(
            f"{path} is truncated or corrupt: expected MD5 {md5}, got {found} ({path.stat().st_size:,} bytes); "
            "remove it and download it again"
        )


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, in hex.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, _md5).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
