"""List the image files of a folder, each file once whatever links lead to it, and count what is left out."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lipschitz.errors import printable

SUFFIXES = (".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Suffixes of image files, in lower or upper case."""
SHOWN = 3
"""Suffixes of left-out files that a warning names."""


class Listing(NamedTuple):
    """The image files of a folder and its subfolders, sorted by path."""

    paths: list[Path]
    real: list[str]
    """Of each file the path without symbolic links."""
    left_out: Counter[str]
    """Number of other files by suffix in lower case; hidden files are not counted."""
    repeated: int
    """Number of symbolic links and files that were left out because the file or folder is listed already."""


def list_images(folder: Path) -> Listing:
    """List the images of ``folder``; hidden files and folders are ignored.

    Symbolic links are followed, but each file and each folder is listed once, under the first of its paths, and a
    folder above ``folder`` never is. Whatever has the suffix of an image is listed, also a folder or a pipe, which
    cannot be read, and which a reader names.

    Raises:
        OSError: a folder cannot be listed.
    """
    found = Listing([], [], Counter(), 0)
    top, repeated = os.path.realpath(folder), 0
    seen = {top, *map(str, Path(top).parents)}
    waiting = list(_entries(folder, top))
    while waiting:
        path, real, is_folder = waiting.pop()
        is_image = path.suffix.lower() in SUFFIXES
        if not is_image and not is_folder:
            found.left_out[path.suffix.lower()] += 1
        elif real in seen:
            repeated += 1
        else:
            seen.add(real)
            if is_image:
                found.paths.append(path)
                found.real.append(real)
            else:
                waiting += _entries(path, real)
    return found._replace(repeated=repeated)


def _entries(folder: Path, real: str) -> Iterator[tuple[Path, str, bool]]:
    """Yield, last name first, each entry that is not hidden: its path, real path, and whether it is a folder."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in sorted(visible, key=lambda entry: entry.name, reverse=True):
        if entry.is_symlink():
            yield folder / entry.name, os.path.realpath(entry.path), Path(entry.path).is_dir()
        else:
            yield folder / entry.name, str(Path(real, entry.name)), entry.is_dir()


def left_out(folder: Path, listings: Iterable[Listing]) -> Iterator[str]:
    """Yield the warnings of what ``listings`` of parts of ``folder`` left out: at most two lines."""
    other, repeated = Counter[str](), 0
    for listing in listings:
        other += listing.left_out
        repeated += listing.repeated
    if other:
        kinds = [f"{n:,} {printable(suffix)[:20] or 'without suffix'}" for suffix, n in other.most_common(SHOWN)]
        if rest := sum(other.values()) - sum(n for _, n in other.most_common(SHOWN)):
            kinds.append(f"{rest:,} of other kinds")
        yield f"{printable(str(folder))}: {sum(other.values()):,} files are not read: {', '.join(kinds)}"
    if repeated:
        yield (
            f"{printable(str(folder))}: {repeated:,} symbolic links or files are not read, since they lead to images "
            "or folders that are listed already"
        )
