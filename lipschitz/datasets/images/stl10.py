"""STL-10: photographs, most of them unlabelled."""

import json
from pathlib import Path

from PIL import Image

from lipschitz.config import Pixels
from lipschitz.datasets.images.crop import CropResize, Resize
from lipschitz.datasets.images.decode import LazyImages
from lipschitz.datasets.images.published import PublishedDataset, TrainTest


class STL10(PublishedDataset):
    """113,000 photographs, resized to 48x48 RGB; 105,000 to train on, the 8,000 of the test split held out.

    Labels are checked but not used: most images have none.
    """

    source = "Coates et al. 2011, AISTATS; resized as in Miyato et al. 2018, arXiv:1802.05957"

    size: Pixels = 48
    """Height and width in pixels; the published 96x96 pixels are resized to it."""
    resize: Resize = "bilinear"
    """PIL's filter; the paper does not name one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, size, size)``."""
        return (3, self.size, self.size)

    def read(self, root: Path) -> TrainTest:
        """Read labelled and unlabelled training images, and the test split."""
        return TrainTest(self._images(root, "train+unlabeled"), self._images(root, "test"))

    def _images(self, root: Path, split: str) -> LazyImages:
        images = self.open_torchvision(root, split=split).data.transpose(0, 2, 3, 1)
        return LazyImages(
            [f"image {k} of {split} of stl10 in {root}" for k in range(len(images))],
            lambda k: Image.fromarray(images[k]),
            CropResize(self.size, 3, self.resize),
            fingerprint=json.dumps([split, *self.files().items()]),
        )
