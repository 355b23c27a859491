"""What CIFAR-10 and CIFAR-100 share."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lipschitz.datasets.base import ImageData
from lipschitz.datasets.images.image_data import Split
from lipschitz.datasets.images.published import Archive, Published, readable


class CifarFormat(Published):
    """60,000 photographs, 32x32 RGB; the 10,000 of the test split are held out."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, 32, 32)``."""
        return (3, 32, 32)

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes."""

    def files(self) -> Mapping[str, str | None]:
        """Return the pickled batches and the names of the classes."""
        theirs = self.torchvision()
        listed = [*theirs.train_list, *theirs.test_list, (theirs.meta["filename"], theirs.meta["md5"])]
        return {f"{theirs.base_folder}/{file}": md5 for file, md5 in listed}

    def archives(self) -> tuple[Archive, ...]:
        """Return the one archive."""
        theirs = self.torchvision()
        return (Archive(theirs.filename, theirs.tgz_md5, (theirs.url,), unpacks=True),)

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load torchvision's folder below ``data_root``, by default ``data``.

        Raises:
            InputError: files are missing, unreadable, truncated or corrupt.
        """
        root = self.verified(data_root)
        with readable(self.name(), root):
            train, test = (self.torchvision()(root, train=part) for part in (True, False))
        return ImageData.load(_split(train), _split(test), device, self.classes, train.classes)


def _split(dataset: Any) -> Split:
    return Split(torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(dataset.targets))
