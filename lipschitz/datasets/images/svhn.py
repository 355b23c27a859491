"""SVHN: street view house numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lipschitz.datasets.images.published import Archive, PublishedDataset, TrainTest
from lipschitz.datasets.images.split import Split

PARTS = ("train", "test")


class SVHN(PublishedDataset):
    """99,289 digits of house numbers, 32x32 RGB; 73,257 to train on, the 26,032 of the test split held out."""

    source = "Netzer et al. 2011, Reading Digits in Natural Images with Unsupervised Feature Learning"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, 32, 32)``."""
        return (3, 32, 32)

    @property
    def classes(self) -> int:
        """Ten: the label of a digit is the digit."""
        return 10

    @property
    def training_images(self) -> int:
        """Those of the training split."""
        return 73_257

    def files(self) -> Mapping[str, str | None]:
        """Return the two MATLAB files, in the data root itself. The third published file, ``extra``, is not read."""
        return {archive.path: archive.md5 for archive in self.archives()}

    def archives(self) -> tuple[Archive, ...]:
        """Return the two files, which are read as they are."""
        published = (self.torchvision().split_list[part] for part in PARTS)
        return tuple(Archive(file, md5, (url,), unpacks=False) for url, file, md5 in published)

    def read(self, root: Path) -> TrainTest:
        """Read both files."""
        train, test = (_split(self.open_torchvision(root, split=part)) for part in PARTS)
        return TrainTest(train, test)


def _split(dataset: Any) -> Split:
    return Split(torch.from_numpy(dataset.data).contiguous(), torch.from_numpy(dataset.labels))
