"""Images held on the device as bytes, so that a batch never waits for the host."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor


class Split(NamedTuple):
    """Labelled images: uint8 ``(n, c, h, w)`` and int64 ``(n,)``."""

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "Split":
        """Return the split on ``device``."""
        return Split(self.images.to(device), self.labels.to(device))

    def where(self, mask: Tensor) -> "Split":
        """Return the images and labels at which the bool ``mask`` ``(n,)`` is true."""
        return Split(self.images[mask], self.labels[mask])


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images to train on and images held out, with their labels, on one device. Samples are float32 in [-1, 1]."""

    train: Split
    held_out: Split
    hash: str

    @classmethod
    def load(cls, train: Split, held_out: Split, device: torch.device) -> "ImageData":
        """Hash both splits, which lie on the CPU, and move them to ``device``."""
        return cls(train.to(device), held_out.to(device), _hash(train, held_out))

    @property
    def shape(self) -> tuple[int, ...]:
        """``(c, h, w)``."""
        return tuple(self.train.images.shape[1:])

    @property
    def reference_size(self) -> int:
        """Number of held-out images."""
        return len(self.held_out.images)

    @cached_property
    def classes(self) -> int:
        """Number of classes, labelled from 0."""
        return 1 + int(self.train.labels.max())

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` training images, with replacement."""
        images = self.train.images
        index = torch.randint(len(images), (n,), generator=rng, device=images.device)
        return to_floats(images.index_select(0, index))

    def reference(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` held-out images, none twice."""
        return _draw(self.held_out.images, n, rng)

    def floor(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` training images, none twice: real, and disjoint from the held-out ones."""
        return _draw(self.train.images, n, rng)


def to_floats(images: Tensor) -> Tensor:
    """Scale uint8 images 0..255 to float32 in [-1, 1], as far as the generator's tanh reaches."""
    return images.float().div_(127.5).sub_(1)


def _draw(images: Tensor, n: int, rng: torch.Generator) -> Tensor:
    if n > len(images):
        raise ValueError(f"{n} images asked for where there are {len(images)}")
    index = torch.randperm(len(images), generator=rng, device=images.device)[:n]
    return to_floats(images.index_select(0, index))


def _hash(*splits: Split) -> str:
    digest = hashlib.sha256()
    for tensor in (tensor for split in splits for tensor in split):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
