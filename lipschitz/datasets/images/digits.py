"""Handwritten digits, 8x8: real images that ship inside scikit-learn, so that they need no network."""

from pathlib import Path

import numpy as np
import torch

from lipschitz.datasets.base import Dataset, ImageData
from lipschitz.datasets.images.holdout import held_out_mask
from lipschitz.datasets.images.image_data import Split


class Digits(Dataset):
    """1,797 handwritten digits, 8x8 grey; half of each class to train on, half held out.

    Held-out images equal generated ones in number that way, and the floor compares one half with the other.
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

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Return 901 training and 896 held-out images; ``data_root`` is not read."""
        # Importing scikit-learn takes a second that a sweep without this data set need not wait for.
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        # Grey levels run from 0 to 16.
        images = torch.from_numpy((pixels * (255 / 16)).round().astype(np.uint8)).reshape(-1, *self.shape)
        everything = Split(images, torch.from_numpy(labels).long())
        held_out = held_out_mask(everything.size, everything.labels, share=0.5)
        return ImageData.load(everything.where(~held_out), everything.where(held_out), device, self.classes)
