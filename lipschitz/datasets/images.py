"""Images held on the device as bytes, so that a batch never waits for the host."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lipschitz.errors import InputError

SplitName = Literal["train", "held_out"]


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
        return iter(torch.split(self.images, size))


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images to train on and images held out, with their labels, on one device. Samples are float32 in [-1, 1]."""

    train: Split
    held_out: Split
    hash: str
    classes: int | None = None
    """Number of classes, labelled from 0; None where images have no labels."""

    @classmethod
    def load(cls, train: Split, held_out: Split, device: torch.device, classes: int | None = None) -> "ImageData":
        """Hash both splits, which lie on the CPU, and move them to ``device``.

        Raises:
            ValueError: there are labels without ``classes``, or ``classes`` without labels.
            InputError: a label is out of range.
        """
        for name, split in (("training", train), ("held-out", held_out)):
            check_labels(split.labels, classes, f"{name} images")
        return cls(train.to(device), held_out.to(device), hash_of(train, held_out), classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(c, h, w)``."""
        return self.train.shape

    @property
    def sizes(self) -> dict[str, int]:
        """Number of images by split."""
        return {"train": self.train.size, "held_out": self.held_out.size}

    @property
    def reference_size(self) -> int:
        """Number of held-out images."""
        return self.held_out.size

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` training images, with replacement."""
        images, _ = self.train.draw(n, rng)
        return to_floats(images)

    def labelled_batch(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the images that `batch` would, and their labels, int64 ``(n,)``.

        Raises:
            ValueError: the images have no labels.
        """
        if self.train.labels is None:
            raise ValueError("images without labels")
        images, index = self.train.draw(n, rng)
        return to_floats(images), self.train.labels.index_select(0, index)

    def reference(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` held-out images, none twice."""
        return _some(self.held_out, n, rng)

    def floor(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` training images, none twice: real, and disjoint from the held-out ones."""
        return _some(self.train, n, rng)

    def chunks(self, split: SplitName, size: int = 256) -> Iterator[Tensor]:
        """Yield all images of ``split`` in their order, as uint8 ``(k, c, h, w)`` with k up to ``size``."""
        return (self.train if split == "train" else self.held_out).chunks(size)


def to_floats(images: Tensor) -> Tensor:
    """Scale uint8 images 0..255 to float32 in [-1, 1], as far as the generator's tanh reaches."""
    return images.float().div_(127.5).sub_(1)


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


def _some(split: Split, n: int, rng: torch.Generator) -> Tensor:
    if n > split.size:
        raise ValueError(f"{n} images asked for where there are {split.size}")
    index = torch.randperm(split.size, generator=rng, device=rng.device)[:n]
    return to_floats(split.take(index))


def hash_of(*splits: Split) -> str:
    """Return the SHA-256, in hex, of every image and label of ``splits``, which lie on the CPU."""
    digest = hashlib.sha256()
    for tensor in (tensor for split in splits for tensor in split if tensor is not None):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
