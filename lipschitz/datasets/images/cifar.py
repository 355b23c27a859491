"""CIFAR-10 and CIFAR-100."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lipschitz.datasets.images.published import PublishedDataset, TrainTest
from lipschitz.datasets.images.split import Split


class CifarFormat(PublishedDataset):
    """60,000 photographs, 32x32 RGB; the 10,000 of the test split are held out."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, 32, 32)``."""
        return (3, 32, 32)

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes."""

    @property
    def training_images(self) -> int:
        """Those of the training split."""
        return 50_000

    def files(self) -> Mapping[str, str | None]:
        """Return the pickled batches and the names of the classes."""
        theirs = self.torchvision()
        return {**super().files(), f"{theirs.base_folder}/{theirs.meta['filename']}": theirs.meta["md5"]}

    def read(self, root: Path) -> TrainTest:
        """Read both splits and the names of the classes."""
        train, test = (self.open_torchvision(root, train=part) for part in (True, False))
        return TrainTest(_split(train), _split(test), train.classes)


def _split(dataset: Any) -> Split:
    return Split(torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(dataset.targets))


class CIFAR10(CifarFormat):
    """60,000 photographs in ten classes, 32x32 RGB; the 10,000 of the test split are held out."""

    named = "cifar10"
    source = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"

    @property
    def classes(self) -> int:
        """Ten."""
        return 10


class CIFAR100(CifarFormat):
    """60,000 photographs in a hundred classes, 32x32 RGB; the 10,000 of the test split are held out."""

    named = "cifar100"
    source = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"

    @property
    def classes(self) -> int:
        """A hundred."""
        return 100
