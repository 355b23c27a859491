"""MNIST."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from lipschitz.datasets.base import Dataset, ImageData
from lipschitz.datasets.torchvision_images import load_mnist_format

UNPACKED_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


class MNIST(Dataset):
    """70,000 handwritten digits, 28x28 grey, padded; the test split is held out."""

    source: ClassVar[str] = "LeCun et al. 1998, doi:10.1109/5.726791"
    kind: ClassVar[Literal["points", "images"]] = "images"

    size: Annotated[int, Field(ge=28)] = 32
    """Height and width in pixels, to which the published 28 are padded with black; models may want a multiple of 8."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1, size, size)``."""
        return (1, self.size, self.size)

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load ``data_root/MNIST/raw``, by default ``data/MNIST/raw``."""
        return load_mnist_format("MNIST", UNPACKED_MD5, data_root, device, self.size)
