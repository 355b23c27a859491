"""STL-10."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image
from pydantic import PositiveInt

from lipschitz.datasets.base import ImageData
from lipschitz.datasets.images.crop import Framing, Resize
from lipschitz.datasets.images.decode import Pictures
from lipschitz.datasets.images.published import Archive, Published, readable


class STL10(Published):
    """113,000 photographs, resized to 48x48 RGB; 105,000 to train on, the 8,000 of the test split held out."""

    source = "Coates et al. 2011, AISTATS; resized as in Miyato et al. 2018, arXiv:1802.05957"

    size: PositiveInt = 48
    """Height and width in pixels, to which the published 96 are resized."""
    resize: Resize = "bilinear"
    """PIL's filter, which the paper does not name."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, size, size)``."""
        return (3, self.size, self.size)

    def files(self) -> Mapping[str, str | None]:
        """Return the images and labels as bytes; labels are checked, and not used: most images have none."""
        theirs = self.torchvision()
        return {f"{theirs.base_folder}/{file}": md5 for file, md5 in [*theirs.train_list, *theirs.test_list]}

    def archives(self) -> tuple[Archive, ...]:
        """Return the one archive."""
        theirs = self.torchvision()
        return (Archive(theirs.filename, theirs.tgz_md5, (theirs.url,), unpacks=True),)

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load torchvision's folder below ``data_root``, by default ``data``; train and unlabelled images to train on.

        Raises:
            InputError: files are missing, unreadable, truncated or corrupt.
        """
        root = self.verified(data_root)
        train, test = (self._pictures(root, split) for split in ("train+unlabeled", "test"))
        return ImageData.load(train, test, device)

    def _pictures(self, root: Path, split: str) -> Pictures:
        with readable(self.name(), root):
            images = self.torchvision()(root, split=split).data.transpose(0, 2, 3, 1)
        names = [f"image {k} of {split} of stl10 in {root}" for k in range(len(images))]
        framing = Framing(self.size, 3, self.resize)
        fingerprint = json.dumps([split, *self.files().items()])
        return Pictures(names, lambda k: Image.fromarray(images[k]), framing, fingerprint=fingerprint)
