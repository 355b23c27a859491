"""MNIST: handwritten digits."""

from collections.abc import Mapping

from lipschitz.datasets.images.mnist_format import MnistFormat

UNPACKED_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


class MNIST(MnistFormat):
    """70,000 handwritten digits, 28x28 grey, padded; the test split is held out."""

    source = "LeCun et al. 1998, doi:10.1109/5.726791"

    @classmethod
    def unpacked_md5(cls) -> Mapping[str, str]:
        """Return the MD5 of each unpacked file."""
        return UNPACKED_MD5
