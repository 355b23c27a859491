"""Fashion-MNIST: articles of clothing."""

from collections.abc import Mapping, Sequence

from lipschitz.datasets.images.mnist_format import MnistFormat

UNPACKED_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}


class FashionMNIST(MnistFormat):
    """70,000 articles of clothing in ten classes, 28x28 grey, padded; the test split is held out."""

    source = "Xiao et al. 2017, arXiv:1708.07747"

    @classmethod
    def unpacked_md5(cls) -> Mapping[str, str]:
        """Return the MD5 of each unpacked file."""
        return UNPACKED_MD5

    def class_names(self) -> Sequence[str]:
        """Return the published names of the classes, from torchvision."""
        names: Sequence[str] = self.torchvision().classes
        return names
