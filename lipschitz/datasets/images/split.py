"""One half of a data set of images, in memory: pixels as bytes, and labels."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from lipschitz.errors import InputError

CHUNK = 1024
"""Images that are read at a time where all of them are."""


class Split(NamedTuple):
    """Images uint8 ``(n, c, h, w)``, and their labels int64 ``(n,)``, or None."""

    images: Tensor
    labels: Tensor | None = None

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, ``(c, h, w)``."""
        return tuple(self.images.shape[1:])

    def to(self, device: torch.device) -> "Split":
        """Return the split on ``device``."""
        return Split(self.images.to(device), None if self.labels is None else self.labels.to(device))

    def where(self, mask: Tensor) -> "Split":
        """Return the images and labels at which the bool ``mask`` ``(n,)`` is true."""
        return Split(self.images[mask], None if self.labels is None else self.labels[mask])

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw uint8 ``(n, c, h, w)``, with replacement, and their int64 indices ``(n,)``."""
        index = torch.randint(self.size, (n,), generator=rng, device=self.images.device)
        return self.take(index), index

    def take(self, index: Tensor) -> Tensor:
        """Return the images at ``index``, int64 ``(n,)``, on the device."""
        return self.images.index_select(0, index)

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Yield all images in their order, ``size`` at a time."""
        return (self.images[start : start + size] for start in range(0, self.size, size))


def check_labels(labels: Tensor | None, classes: int | None, of: str) -> None:
    """Refuse labels that are not below ``classes``; ``of`` names in the message what they label.

    Raises:
        ValueError: there are labels without ``classes``, or ``classes`` without labels.
        InputError: a label is out of range.
    """
    if (labels is None) != (classes is None):
        raise ValueError(f"{of}: labels and a number of classes go together, or neither is there")
    if labels is None or classes is None:
        return
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        first = int(wrong[0])
        raise InputError(f"{of}: image {first} is labelled {int(labels[first])}; allowed: 0 to {classes - 1}")


class Images(Protocol):
    """Images in an order, wherever they are."""

    @property
    def size(self) -> int:
        """Number of images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, ``(c, h, w)``."""

    @property
    def labels(self) -> Tensor | None:
        """int64 ``(n,)``, or None."""

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Yield all images in their order, ``size`` at a time, as uint8 ``(k, c, h, w)``."""


class ContentHash:
    """SHA-256 of images and labels on the CPU, taken in as they pass by: however they are kept, it is the same."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def passing(self, source: Images) -> Iterator[Tensor]:
        """Yield the images of ``source`` chunk by chunk, uint8 ``(k, c, h, w)``, and take in them and the labels."""
        self._start(torch.uint8, (source.size, *source.shape))
        for chunk in source.chunks(CHUNK):
            self._digest.update(np.ascontiguousarray(chunk.numpy()).data)
            yield chunk
        if source.labels is not None:
            self._start(source.labels.dtype, tuple(source.labels.shape))
            self._digest.update(np.ascontiguousarray(source.labels.numpy()).data)

    def of(self, source: Images) -> None:
        """Take in all of ``source``."""
        for _ in self.passing(source):
            pass

    def hex(self) -> str:
        """Return the hash in hex."""
        return self._digest.hexdigest()

    def _start(self, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        self._digest.update(f"{dtype} {shape} ".encode())
