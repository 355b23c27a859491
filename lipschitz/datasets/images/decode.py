"""Decode pictures to uint8 tensors when they are asked for, by several threads."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image, ImageOps
from torch import Tensor

from lipschitz.cpu import cpu_cores
from lipschitz.datasets.images.crop import CONVERTED, CropResize
from lipschitz.errors import InputError, first_line, printable
from lipschitz.files import open_regular

MAX_THREADS = 16
"""Most threads that decode; there are never more than cores."""
# PIL refuses an image of twice this many pixels, and warns of a smaller one: refused too, since a warning has no name.
# The filter is that of the process, because a filter for a block is not safe where several threads decode.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


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
            reason = (isinstance(error, OSError) and error.strerror) or first_line(error)
            name = printable(self.names[place])
            raise InputError(f"{name} cannot be used as an image: {printable(reason)[:120]}") from error

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


def open_image(path: Path, mode: str | None = None) -> Image.Image:
    """Read an image file, turned as its EXIF orientation says; no file stays open.

    With ``mode``, L or RGB, an image of another mode with 8 bits a channel is converted, as `PIL.Image.Image.convert`
    does: a palette is looked up, an alpha channel is dropped, and grey is the luma of ITU-R 601-2.
    """
    with open_regular(path) as file:
        image: Image.Image = Image.open(io.BytesIO(file.read()))
    ImageOps.exif_transpose(image, in_place=True)
    if mode is None or image.mode not in CONVERTED:
        return image
    if image.mode == "P" and "transparency" in image.info:
        # PIL warns of a palette with transparency that is converted at once.
        image = image.convert("RGBA")
    return image.convert(mode)


def fingerprint_of(paths: Sequence[Path]) -> str:
    """Return a SHA-256, in hex, of what the system says of the files: what is cached under it trusts this alone.

    That is path, size, inode, and the times of the last change of content and of inode; or that a file is missing. A
    program can set the first of these times, not the second.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            facts = "absent"
        else:
            facts = f"{stat.st_size} {stat.st_ino} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        digest.update(os.fsencode(path.absolute()) + f" {facts}\n".encode())
    return digest.hexdigest()


def _thread_count() -> int:
    return min(cpu_cores(), MAX_THREADS)


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads of this process. A fork does not copy threads, hence a pool for each process id."""
    return ThreadPoolExecutor(_thread_count(), thread_name_prefix="decode")
