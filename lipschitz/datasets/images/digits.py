"""Handwritten digits, 8x8 pixels, from scikit-learn: real images that need no download."""

from pathlib import Path

import numpy as np
import torch

from lipschitz.datasets.base import Dataset, ImageData
from lipschitz.datasets.images.split import Split, hold_out


class Digits(Dataset):
    """1,797 handwritten digits, 8x8 grey; half of each class to train on, half held out.

    So the floor compares two halves of about the same size, and as many images as are generated can be held out.
    """

    source = "Alpaydin and Kaynak 1998, UCI, doi:10.24432/C50P49; the test set, as in scikit-learn"
    kind = "images"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1, 8, 8)``."""
        return (1, 8, 8)

    @property
    def classes(self) -> int:
        """Ten."""
        return 10

    @property
    def training_images(self) -> int:
        """About half of the 1,797."""
        return 901

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Return 901 training and 896 held-out images; ``data_root`` is not read."""
        # Importing scikit-learn takes a second; sweeps without this data set need not wait for it.
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        # Grey levels go from 0 to 16.
        images = torch.from_numpy((pixels * (255 / 16)).round().astype(np.uint8)).reshape(-1, *self.shape)
        train, held_out = hold_out(Split(images, torch.from_numpy(labels).long()), 0.5, "digits")
        return ImageData.load(train, held_out, device, self.classes)
