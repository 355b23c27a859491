"""Draw batches of training images, and held-out images for evaluation, from the device or streamed to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from lipschitz.datasets.images.placement import Placed, Source, place
from lipschitz.datasets.images.split import Split, check_labels
from lipschitz.datasets.images.streaming import StreamedSplit

__all__ = ["ImageData", "Placed", "Split", "SplitName", "to_floats"]

SplitName = Literal["train", "held_out"]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Training and held-out images with their labels, on one device. Samples are float32 in [-1, 1]."""

    train: Placed
    held_out: Placed
    hash: str
    classes: int | None = None
    """Number of classes; labels go from 0 to ``classes - 1``. None without labels."""
    class_names: tuple[str, ...] | None = None
    """Name of each class; None if the classes have no names."""
    repeated: int = 0
    """Number of held-out images that are also training images, pixel by pixel."""
    warnings: tuple[str, ...] = ()
    """What a user should know of the files, one line each, such as how many were left out."""
    channel_data: "ImageData | None" = None
    """The labelled images, of one channel, of which each channel is one; None for images that are not stacked."""

    @classmethod
    def load(
        cls,
        train: Source,
        held_out: Source,
        device: torch.device,
        classes: int | None = None,
        class_names: Sequence[str] | None = None,
        warnings: Sequence[str] = (),
    ) -> "ImageData":
        """Hash both splits, which are on the CPU or in files, and place them on ``device`` or stream them to it.

        Raises:
            ValueError: there are labels without ``classes``, ``classes`` without labels, or another number of
                ``class_names`` than of ``classes``.
            InputError: a label is out of range; an image cannot be read.
        """
        if class_names is not None and len(class_names) != classes:
            raise ValueError(f"expected {classes} class names, got {len(class_names)}")
        for name, split in (("training", train), ("held-out", held_out)):
            check_labels(split.labels, classes, f"{name} images")
        (placed, placed_held_out), content = place((train, held_out), device)
        names = None if class_names is None else tuple(class_names)
        return cls(placed, placed_held_out, content.hash, classes, names, content.repeated, tuple(warnings))

    def of_channels(self, base: "ImageData") -> "ImageData":
        """Return the same images, whose channels are images of ``base``."""
        return replace(self, channel_data=base)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(c, h, w)``."""
        return self.train.shape

    @property
    def sizes(self) -> dict[str, int]:
        """Number of images in each split."""
        return {"train": self.train.size, "held_out": self.held_out.size}

    @property
    def is_streamed(self) -> bool:
        """Whether training images are read by the host when they are drawn, which a CUDA graph cannot capture."""
        return isinstance(self.train, StreamedSplit)

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` training images, with replacement."""
        images, _ = self.train.draw(n, rng)
        return to_floats(images)

    def labelled_batch(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the images that `batch` would, and their labels, int64 ``(n,)``.

        Raises:
            ValueError: the images have no labels.
        """
        labels = _labels(self.train)
        images, index = self.train.draw(n, rng)
        return to_floats(images), labels.index_select(0, index)

    def reference(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` held-out images, without replacement.

        Raises:
            ValueError: there are fewer than ``n``.
        """
        images, _ = _without_replacement(self.held_out, n, rng)
        return images

    def labelled_reference(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the images that `reference` would, and their labels, int64 ``(n,)``.

        Raises:
            ValueError: the images have no labels, or there are fewer than ``n``.
        """
        labels = _labels(self.held_out)
        images, index = _without_replacement(self.held_out, n, rng)
        return images, labels.index_select(0, index)

    def floor(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``(n, c, h, w)`` training images, without replacement: real images, none of them held out.

        Raises:
            ValueError: there are fewer than ``n``.
        """
        images, _ = _without_replacement(self.train, n, rng)
        return images

    def labelled_floor(self, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a training image of each of ``labels``, int64 ``(n,)``, without replacement, as long as there are any.

        Returns:
            The images ``(m, c, h, w)``, and the row of ``labels`` that each was drawn for, int64 ``(m,)``, ascending.

        Raises:
            ValueError: the images have no labels.
        """
        train_labels = _labels(self.train)
        index = torch.full_like(labels, -1)
        for label in torch.unique(labels).tolist():
            wanted, available = ((rows == label).nonzero().flatten() for rows in (labels, train_labels))
            n = min(len(wanted), len(available))
            order = torch.randperm(len(available), generator=rng, device=rng.device).to(available.device)
            index[wanted[:n]] = available[order[:n]]
        found = (index >= 0).nonzero().flatten()
        return to_floats(self.train.take(index[found])), found

    def draw_classes(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``n`` classes, int64 ``(n,)``, each with its frequency among the training images.

        Raises:
            ValueError: the images have no labels.
        """
        labels = _labels(self.train)
        index = torch.randint(self.train.size, (n,), generator=rng, device=rng.device)
        return labels.index_select(0, index.to(labels.device))

    def chunks(self, split: SplitName, size: int = 256) -> Iterator[Tensor]:
        """Yield all images of ``split`` in order, as uint8 ``(k, c, h, w)`` with k up to ``size``."""
        return (self.train if split == "train" else self.held_out).chunks(size)


def to_floats(images: Tensor) -> Tensor:
    """Scale uint8 images 0..255 to float32 in [-1, 1], the range of the generator's tanh."""
    return images.float().div_(127.5).sub_(1)


def _labels(split: Placed) -> Tensor:
    if split.labels is None:
        raise ValueError("images without labels")
    return split.labels


def _without_replacement(split: Placed, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    if n > split.size:
        raise ValueError(f"cannot draw {n} of {split.size} images without replacement")
    index = torch.randperm(split.size, generator=rng, device=rng.device)[:n]
    return to_floats(split.take(index)), index
