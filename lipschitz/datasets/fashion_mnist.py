"""Fashion-MNIST."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from lipschitz.datasets.base import Dataset, ImageData
from lipschitz.datasets.torchvision_images import load_mnist_format

UNPACKED_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}


class FashionMNIST(Dataset):
    """70,000 articles of clothing in ten classes, 28x28 grey, padded; the test split is held out."""

    source: ClassVar[str] = "Xiao et al. 2017, arXiv:1708.07747"
    kind: ClassVar[Literal["points", "images"]] = "images"

    size: Annotated[int, Field(ge=28)] = 32
    """Height and width in pixels, to which the published 28 are padded with black; models may want a multiple of 8."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1, size, size)``."""
        return (1, self.size, self.size)

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load ``data_root/FashionMNIST/raw``, by default ``data/FashionMNIST/raw``."""
        return load_mnist_format("FashionMNIST", UNPACKED_MD5, data_root, device, self.size)
