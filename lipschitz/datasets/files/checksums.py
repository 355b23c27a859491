"""MD5 checksums, by which publishers and torchvision tell whether a file is whole."""

import hashlib
from pathlib import Path

from lipschitz.errors import InputError


def check_md5(path: Path, md5: str) -> None:
    """Refuse a file that is not the published one.

    Raises:
        InputError: ``path`` cannot be read, or has another MD5 than ``md5``; both are named.
    """
    if (found := md5_of(path)) != md5:
        raise InputError(
            f"{path} is truncated or corrupt: expected MD5 {md5}, found {found} ({path.stat().st_size:,} bytes); "
            "remove it and fetch it again"
        )


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, in hex.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, _md5).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
