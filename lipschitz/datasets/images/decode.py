"""Pictures that are read, decoded and resized when they are asked for, by several threads at once."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

from lipschitz.cpu import cpu_cores
from lipschitz.datasets.images.crop import Framing
from lipschitz.errors import InputError, first_line

MOST_THREADS = 16
"""Threads that decode: no more than there are cores, and no more than this."""


@dataclass(frozen=True)
class Pictures:
    """Pictures by index, each opened when asked for.

    ``open`` is called from several threads at once, and may raise anything of a picture that cannot be read.
    """

    names: Sequence[str]
    """What a message calls each: a path."""
    open: Callable[[int], Image.Image]
    """Opens the picture of an index into ``places``'s range."""
    framing: Framing
    labels: Tensor | None = None
    """int64 ``(n,)``, or None."""
    fingerprint: str | None = None
    """Changes with anything that the pixels come from: paths, sizes, times; None where nothing stands for them."""
    places: Tensor | None = None
    """int64 ``(n,)`` indices into ``names``, of those that belong; None for all."""

    @property
    def size(self) -> int:
        """Number of pictures."""
        return len(self.names) if self.places is None else len(self.places)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one as read, ``(c, h, w)``."""
        return (self.framing.channels, self.framing.size, self.framing.size)

    def where(self, mask: Tensor) -> "Pictures":
        """Return those at which the bool ``mask`` ``(n,)`` is true."""
        places = torch.arange(self.size) if self.places is None else self.places
        return replace(self, places=places[mask], labels=None if self.labels is None else self.labels[mask])

    def identity(self) -> str | None:
        """Return a hash in hex that changes with anything that pixels and labels come from; None where none does."""
        if self.fingerprint is None:
            return None
        facts = [self.fingerprint, repr(self.framing), f"Pillow {PIL.__version__}", repr(self.shape)]
        digest = hashlib.sha256("\n".join(facts).encode())
        for tensor in (self.places, self.labels):
            digest.update(b"none" if tensor is None else tensor.numpy().tobytes())
        return digest.hexdigest()

    def pixels(self, index: int) -> np.ndarray:
        """Read one: uint8 ``(c, h, w)``.

        Raises:
            InputError: it cannot be read, or is not as the framing wants it; it is named.
        """
        place = index if self.places is None else int(self.places[index])
        try:
            with self.open(place) as picture:
                return self.framing.pixels(picture)
        # What a torn or foreign picture raises depends on its format and on where it is torn.
        except Exception as error:
            raise InputError(f"{self.names[place]} cannot be used as an image: {first_line(error)}") from error

    def read(self, index: Sequence[int], *, pinned: bool = False) -> Tensor:
        """Read the pictures at ``index``: uint8 ``(n, c, h, w)`` on the CPU, in ``pinned`` memory where asked for.

        Raises:
            InputError: one cannot be read; of several, the first is named.
        """
        out = torch.empty(len(index), *self.shape, dtype=torch.uint8, pin_memory=pinned)
        rows = out.numpy()

        def fill(start: int) -> None:
            for row in range(start, min(start + step, len(index))):
                rows[row] = self.pixels(index[row])

        threads = thread_count()
        step = max(1, -(-len(index) // threads))
        for _ in _pool(os.getpid()).map(fill, range(0, len(index), step)):
            pass
        return out

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Read all in their order, ``size`` at a time."""
        return (self.read(range(start, min(start + size, self.size))) for start in range(0, self.size, size))

    def broken(self) -> list[int]:
        """Read all, and return the indices of those that cannot be read."""

        def fails(index: int) -> bool:
            try:
                self.pixels(index)
            except InputError:
                return True
            return False

        return [index for index, bad in enumerate(_pool(os.getpid()).map(fails, range(self.size))) if bad]


def thread_count() -> int:
    """Return how many threads decode: as many as there are cores for this process, up to `MOST_THREADS`."""
    return min(cpu_cores(), MOST_THREADS)


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the pool of this process; threads do not come along when a process forks."""
    return ThreadPoolExecutor(thread_count(), thread_name_prefix="pictures")
