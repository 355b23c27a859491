"""Files of pictures: finding them, opening them, noticing that they changed."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Of the files that are taken for pictures, in lower or upper case."""


def picture_files(folder: Path) -> list[Path]:
    """Return all pictures in ``folder`` and below it, in the order of their paths, hidden files and folders aside.

    Raises:
        OSError: it cannot be listed.
    """
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            found += picture_files(path)
        elif path.suffix.lower() in SUFFIXES:
            found.append(path)
    return found


def open_picture(path: Path) -> Image.Image:
    """Open a picture whose file is read at once, so that no handle stays open."""
    return Image.open(io.BytesIO(path.read_bytes()))


def fingerprint_of(paths: Sequence[Path]) -> str:
    """Return a hash in hex that changes with any of the files' paths, sizes and times of change; absent ones count."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            digest.update(f"{path.absolute()} absent\n".encode())
        else:
            digest.update(f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
