"""CIFAR-100: photographs in a hundred classes."""

from lipschitz.datasets.images.cifar_format import CifarFormat


class CIFAR100(CifarFormat):
    """60,000 photographs in a hundred classes, 32x32 RGB; the 10,000 of the test split are held out."""

    source = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"

    @property
    def classes(self) -> int:
        """A hundred."""
        return 100
