"""4C3F: the large MNIST network of certified training, four convolutions and three dense layers."""

from collections import OrderedDict

from torch import nn

from lipschitz.config import Width
from lipschitz.models.classifier_blocks import ImageClassifier


class CNN4C3F(ImageClassifier):
    """Convolutions of 32, 32, 64 and 64 channels, 3x3 and then 4x4 with stride 2, and dense layers 512, 512, classes.

    Certified robustness in the l2 norm is often reported for this network, on MNIST at 1.58.
    """

    source = "Wong et al. 2018, arXiv:1805.12514"

    width: Width = 32
    """Channels of the first two convolutions; the next two have twice, hidden dense layers 16 times as many."""

    def check_size(self, size: int) -> None:
        """Raise ValueError unless images have a multiple of 4 pixels along each axis."""
        if size % 4:
            raise ValueError(f"{self.name()} takes images whose size is a multiple of 4, not {size}x{size}")

    def layers(self, shape: tuple[int, int, int], classes: int) -> OrderedDict[str, nn.Module]:
        """Return four convolutional blocks, two dense blocks and the output layer."""
        channels, height, width = shape
        narrow, wide, dense = self.width, 2 * self.width, 16 * self.width
        blocks = nn.Sequential(
            self.conv_block(channels, narrow),
            self.conv_block(narrow, narrow, 4, stride=2),
            self.conv_block(narrow, wide),
            self.conv_block(wide, wide, 4, stride=2),
        )
        return OrderedDict(
            blocks=blocks,
            flatten=nn.Flatten(),
            dense=nn.Sequential(
                self.dense_block(wide * (height // 4) * (width // 4), dense), self.dense_block(dense, dense)
            ),
            output=nn.Linear(dense, classes),
        )
