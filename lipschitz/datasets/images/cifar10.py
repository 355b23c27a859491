"""CIFAR-10: photographs in ten classes."""

from lipschitz.datasets.images.cifar_format import CifarFormat


class CIFAR10(CifarFormat):
    """60,000 photographs in ten classes, 32x32 RGB; the 10,000 of the test split are held out."""

    source = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"

    @property
    def classes(self) -> int:
        """Ten."""
        return 10
