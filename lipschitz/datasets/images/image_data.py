"""Images to train on and to judge against: what is drawn of them, wherever they are kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lipschitz.datasets.images.placement import Placed, Source, place
from lipschitz.datasets.images.split import Split, check_labels
from lipschitz.datasets.images.streaming import StreamedSplit

__all__ = ["ImageData", "Placed", "Split", "SplitName", "check_labels", "to_floats"]

SplitName = Literal["train", "held_out"]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images to train on and images held out, with their labels, on one device. Samples are float32 in [-1, 1]."""

    train: Placed
    held_out: Placed
    hash: str
    classes: int | None = None
    """Number of classes, labelled from 0; None where images have no labels."""
    class_names: tuple[str, ...] | None = None
    """What people call each class; None where nobody says."""

    @classmethod
    def load(
        cls,
        train: Source,
        held_out: Source,
        device: torch.device,
        classes: int | None = None,
        class_names: Sequence[str] | None = None,
    ) -> "ImageData":
        """Hash both splits, which lie on the CPU or in files, and put them on ``device``, or stream them to it.

        Raises:
            ValueError: there are labels without ``classes``, or ``classes`` without labels, or not as many
                ``class_names``.
            InputError: a label is out of range; a picture cannot be read.
        """
        if class_names is not None and len(class_names) != classes:
            raise ValueError(f"{len(class_names)} names of {classes} classes")
        for name, split in (("training", train), ("held-out", held_out)):
            check_labels(split.labels, classes, f"{name} images")
        (placed, kept_out), content = place((train, held_out), device)
        return cls(placed, kept_out, content, classes, None if class_names is None else tuple(class_names))

    @property
    def shape(self) -> tuple[int, ...]:
        """``(c, h, w)``."""
        return self.train.shape

    @property
    def sizes(self) -> dict[str, int]:
        """Number of images by split."""
        return {"train": self.train.size, "held_out": self.held_out.size}

    @property
    def is_streamed(self) -> bool:
        """Whether training images are read from the host as they are drawn, which no CUDA graph can hold."""
        return isinstance(self.train, StreamedSplit)

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
        images, _ = _some(self.held_out, n, rng)
        return images

    def labelled_reference(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the images that `reference` would, and their labels, int64 ``(n,)``.

        Raises:
            ValueError: the images have no labels.
        """
        if self.held_out.labels is None:
            raise ValueError("images without labels")
        images, index = _some(self.held_out, n, rng)
        return images, self.held_out.labels.index_select(0, index)

    def floor(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` training images, none twice: real, and disjoint from the held-out ones."""
        images, _ = _some(self.train, n, rng)
        return images

    def floor_of(self, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a training image, none twice, for each of ``labels``, int64 ``(n,)``, that there is one left of.

        Returns:
            The images ``(m, c, h, w)``, and for which rows of ``labels`` they are, int64 ``(m,)``, ascending.

        Raises:
            ValueError: the images have no labels.
        """
        if self.train.labels is None:
            raise ValueError("images without labels")
        index = torch.full_like(labels, -1)
        for label in torch.unique(labels).tolist():
            asked, there = ((rows == label).nonzero().flatten() for rows in (labels, self.train.labels))
            n = min(len(asked), len(there))
            order = torch.randperm(len(there), generator=rng, device=rng.device).to(there.device)
            index[asked[:n]] = there[order[:n]]
        found = (index >= 0).nonzero().flatten()
        return to_floats(self.train.take(index[found])), found

    def classes_drawn(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``n`` classes, int64 ``(n,)``, as frequent as they are among training images.

        Raises:
            ValueError: the images have no labels.
        """
        if self.train.labels is None:
            raise ValueError("images without labels")
        index = torch.randint(self.train.size, (n,), generator=rng, device=rng.device)
        return self.train.labels.index_select(0, index.to(self.train.labels.device))

    def chunks(self, split: SplitName, size: int = 256) -> Iterator[Tensor]:
        """Yield all images of ``split`` in their order, as uint8 ``(k, c, h, w)`` with k up to ``size``."""
        return (self.train if split == "train" else self.held_out).chunks(size)


def to_floats(images: Tensor) -> Tensor:
    """Scale uint8 images 0..255 to float32 in [-1, 1], as far as the generator's tanh reaches."""
    return images.float().div_(127.5).sub_(1)


def _some(split: Placed, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    if n > split.size:
        raise ValueError(f"{n} images asked for where there are {split.size}")
    index = torch.randperm(split.size, generator=rng, device=rng.device)[:n]
    return to_floats(split.take(index)), index
