"""Training and held-out images: hold out a share of them, check their labels, hash their content, compare them."""

import hashlib
from collections.abc import Iterator
from typing import Annotated, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lipschitz.errors import InputError

CHUNK = 1024
"""Images that are read at a time when all are read."""
Share = Annotated[float, Field(gt=0, lt=1)]
"""A share of the images of each class, or of all images without classes: between 0 and 1, exclusive."""


class Split(NamedTuple):
    """Images in memory, uint8 ``(n, c, h, w)``, and their labels, int64 ``(n,)``, or None."""

    images: Tensor
    labels: Tensor | None = None

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, ``(c, h, w)``."""
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
        """Yield all images in order, ``size`` at a time."""
        return (self.images[start : start + size] for start in range(0, self.size, size))


class Images(Protocol):
    """Images in an order, in memory or in files."""

    @property
    def size(self) -> int:
        """Number of images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, ``(c, h, w)``."""

    @property
    def labels(self) -> Tensor | None:
        """int64 ``(n,)``, or None."""

    def where(self, mask: Tensor) -> Self:
        """Return the images at which the bool ``mask`` ``(n,)`` is true."""

    def chunks(self, size: int) -> Iterator[Tensor]:
        """Yield all images in order, ``size`` at a time, as uint8 ``(k, c, h, w)``."""


T = TypeVar("T", bound=Images)


def hold_out(images: T, share: float, of: object) -> tuple[T, T]:
    """Return training and held-out images: `held_out_mask` says which; ``of`` names the images in the error.

    Raises:
        InputError: there are too few images.
    """
    mask = held_out_mask(images.size, images.labels, share)
    if mask.all() or not mask.any():
        raise InputError(f"{of}: {images.size} images are too few to hold out a share of {share:g}")
    return images.where(~mask), images.where(mask)


def held_out_mask(n: int, labels: Tensor | None, share: float) -> Tensor:
    """Return the bool mask ``(n,)`` of the held-out images: evenly spaced, the same share of each class.

    The i-th image of a class, counted from 1, is held out if floor(i share) > floor((i - 1) share): for a share of one
    half every second image. Nothing is drawn at random.
    """
    mask = torch.zeros(n, dtype=torch.bool)
    classes = [torch.ones_like(mask)] if labels is None else [labels == k for k in set(labels.tolist())]
    for members in (which.nonzero()[:, 0] for which in classes):
        whole = (torch.arange(len(members) + 1, dtype=torch.float64) * share).floor()
        mask[members[whole.diff() > 0]] = True
    return mask


def check_labels(labels: Tensor | None, classes: int | None, of: str) -> None:
    """Check that labels are at least 0 and below ``classes``; ``of`` names the labelled images in the error.

    Raises:
        ValueError: there are labels without ``classes``, or ``classes`` without labels.
        InputError: a label is out of range.
    """
    if (labels is None) != (classes is None):
        raise ValueError(f"{of}: labels and the number of classes go together: expected both or neither")
    if labels is None or classes is None:
        return
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        first = int(wrong[0])
        raise InputError(f"{of}: expected labels from 0 to {classes - 1}, got {int(labels[first])} for image {first}")


class Content(NamedTuple):
    """What is known of the content of training and held-out images once all are read."""

    hash: str
    """SHA-256, in hex, of images and labels. It does not depend on how they are stored."""
    repeated: int
    """Number of held-out images that are also training images, pixel by pixel, whatever their labels."""


class ContentReader:
    """Reads training and then held-out images, on the CPU, for their `Content`."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._hashes: list[np.ndarray] = []

    def read(self, images: Images) -> None:
        """Read all of ``images``."""
        for _ in self.chunks(images):
            pass

    def chunks(self, images: Images) -> Iterator[Tensor]:
        """Yield ``images`` chunk by chunk, uint8 ``(k, c, h, w)``, and hash each; then hash the labels."""
        self._start(torch.uint8, (images.size, *images.shape))
        hashes = []
        for chunk in images.chunks(CHUNK):
            pixels = np.ascontiguousarray(chunk.numpy())
            self._digest.update(pixels.data)
            hashes += [hashlib.blake2b(image, digest_size=8).digest() for image in pixels]
            yield chunk
        self._hashes.append(np.frombuffer(b"".join(hashes), np.uint64))
        if images.labels is not None:
            self._start(images.labels.dtype, tuple(images.labels.shape))
            self._digest.update(np.ascontiguousarray(images.labels.numpy()).data)

    def content(self) -> Content:
        """Return the content of what was read."""
        train, *held_out = self._hashes
        repeated = sum(int(np.isin(each, train).sum()) for each in held_out)
        return Content(self._digest.hexdigest(), repeated)

    def _start(self, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        self._digest.update(f"{dtype} {shape} ".encode())
