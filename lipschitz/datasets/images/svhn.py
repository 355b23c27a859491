"""SVHN."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lipschitz.datasets.base import ImageData
from lipschitz.datasets.images.image_data import Split
from lipschitz.datasets.images.published import Archive, Published, readable

PARTS = ("train", "test")


class SVHN(Published):
    """99,289 digits of house numbers, 32x32 RGB; 73,257 to train on, the 26,032 of the test split held out."""

    source = "Netzer et al. 2011, Reading Digits in Natural Images with Unsupervised Feature Learning"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, 32, 32)``."""
        return (3, 32, 32)

    @property
    def classes(self) -> int:
        """Ten: each digit is its own label."""
        return 10

    def files(self) -> Mapping[str, str | None]:
        """Return both MATLAB files; the third that is published, of easier digits, is not read."""
        return {archive.path: archive.md5 for archive in self.archives()}

    def archives(self) -> tuple[Archive, ...]:
        """Return what is read, as it is."""
        published = (self.torchvision().split_list[part] for part in PARTS)
        return tuple(Archive(file, md5, (url,), unpacks=False) for url, file, md5 in published)

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load both files, which lie in ``data_root`` itself, by default ``data``.

        Raises:
            InputError: files are missing, unreadable, truncated or corrupt.
        """
        root = self.verified(data_root)
        with readable(self.name(), root):
            train, test = (_split(self.torchvision()(root, split=part)) for part in PARTS)
        return ImageData.load(train, test, device, self.classes)


def _split(dataset: Any) -> Split:
    return Split(torch.from_numpy(dataset.data).contiguous(), torch.from_numpy(dataset.labels))
