"""Decode pictures to uint8 tensors when they are asked for, by several threads; find image files in a folder."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

from lipschitz.cpu import cpu_cores
from lipschitz.datasets.images.crop import CropResize
from lipschitz.errors import InputError, first_line

MAX_THREADS = 16
"""Most threads that decode; there are never more than cores."""
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Suffixes of image files, in lower or upper case."""


@dataclass(frozen=True)
class LazyImages:
    """Images that are opened, decoded, cropped and resized each time they are read.

    ``open`` is called from several threads at once, and may raise any exception for an image that cannot be read.
    """

    names: Sequence[str]
    """Name of each image in error messages: a path."""
    open: Callable[[int], Image.Image]
    """Open the image at an index into ``names``."""
    transform: CropResize
    labels: Tensor | None = None
    """int64 ``(n,)``, or None."""
    fingerprint: str | None = None
    """Text that changes with anything that the pixels depend on: paths, sizes, times; None if there is no such text."""
    subset: Tensor | None = None
    """int64 ``(n,)`` indices into ``names``: the images that are in use; None for all."""

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.names) if self.subset is None else len(self.subset)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image as read, ``(c, h, w)``."""
        return (self.transform.channels, self.transform.size, self.transform.size)

    def where(self, mask: Tensor) -> "LazyImages":
        """Return the images at which the bool ``mask`` ``(n,)`` is true."""
        subset = torch.arange(self.size) if self.subset is None else self.subset
        return replace(self, subset=subset[mask], labels=None if self.labels is None else self.labels[mask])

    def cache_key(self) -> str | None:
        """Return a SHA-256, in hex, that changes with anything that pixels and labels depend on.

        None without a fingerprint: nothing that is computed from the images may be cached.
        """
        if self.fingerprint is None:
            return None
        facts = [self.fingerprint, self.transform.cache_key(), f"Pillow {PIL.__version__}", repr(self.shape)]
        digest = hashlib.sha256("\n".join(facts).encode())
        for tensor in (self.subset, self.labels):
            digest.update(b"none" if tensor is None else tensor.numpy().tobytes())
        return digest.hexdigest()

    def pixels(self, index: int) -> np.ndarray:
        """Read one image: uint8 ``(c, h, w)``.

        Raises:
            InputError: it cannot be read, or ``transform`` does not accept it; the message has its name.
        """
        place = index if self.subset is None else int(self.subset[index])
        try:
            with self.open(place) as image:
                return self.transform.pixels(image)
        # The type of the exception depends on the format and on where the file is damaged.
        except Exception as error:
            raise InputError(f"{self.names[place]} cannot be used as an image: {first_line(error)}") from error

    def read(self, index: Sequence[int], *, pinned: bool = False) -> Tensor:
        """Read the images at ``index``: uint8 ``(n, c, h, w)`` on the CPU, in ``pinned`` memory on request.

        Raises:
            InputError: an image cannot be read; if there are several, the message names the first.
        """
        out = torch.empty(len(index), *self.shape, dtype=torch.uint8, pin_memory=pinned)
        rows = out.numpy()

        def fill(start: int) -> None:
            for row in range(start, min(start + step, len(index))):
                rows[row] = self.pixels(index[row])

        step = max(1, -(-len(index) // _thread_count()))
        for _ in _pool(os.getpid()).map(fill, range(0, len(index), step)):
            pass
        return out

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Read all images in order, ``size`` at a time."""
        return (self.read(range(start, min(start + size, self.size))) for start in range(0, self.size, size))

    def broken(self) -> list[int]:
        """Read all images, and return the indices of those that cannot be read."""

        def fails(index: int) -> bool:
            try:
                self.pixels(index)
            except InputError:
                return True
            return False

        return [index for index, bad in enumerate(_pool(os.getpid()).map(fails, range(self.size))) if bad]


def image_files(folder: Path) -> list[Path]:
    """Return all image files in ``folder`` and its subfolders, sorted by path; hidden files and folders are ignored.

    Raises:
        OSError: a folder cannot be listed.
    """
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            found += image_files(path)
        elif path.suffix.lower() in SUFFIXES:
            found.append(path)
    return found


def open_image(path: Path) -> Image.Image:
    """Open an image file; it is read at once, so that no file stays open."""
    return Image.open(io.BytesIO(path.read_bytes()))


def fingerprint_of(paths: Sequence[Path]) -> str:
    """Return a SHA-256, in hex, of the files' paths, sizes and modification times, and of which are missing."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            digest.update(f"{path.absolute()} absent\n".encode())
        else:
            digest.update(f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _thread_count() -> int:
    return min(cpu_cores(), MAX_THREADS)


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads of this process. A fork does not copy threads, hence a pool for each process id."""
    return ThreadPoolExecutor(_thread_count(), thread_name_prefix="decode")
