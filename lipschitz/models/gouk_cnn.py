"""Gouk's CNN: the convolutional classifier of the paper on Lipschitz continuity and generalisation, for MNIST."""

from collections import OrderedDict

from torch import nn

from lipschitz.config import Width
from lipschitz.models.classifier_blocks import ImageClassifier
from lipschitz.models.dropout import Rate


class GoukCNN(ImageClassifier):
    """Two 5x5 convolutions of 64 and 128 channels, each with 2x2 max pooling, and a dense layer of 128 units.

    Convolutions are padded, so that they keep the size of their maps.
    """

    source = "Gouk et al. 2021, arXiv:1804.04368, experiments on MNIST and Fashion-MNIST"

    width: Width = 64
    """Channels of the first convolution; the second, and the dense layer, have twice as many."""
    dropout: Rate = 0.0
    """Rate of dropout after the dense layer; zero for none."""
    conv_dropout: Rate = 0.0
    """Rate of dropout before the pooling of each convolution, as in the released code; zero for none."""

    def check_size(self, size: int) -> None:
        """Raise ValueError for images of fewer than 4x4 pixels."""
        self.at_least(size, 4)

    def layers(self, shape: tuple[int, int, int], classes: int) -> OrderedDict[str, nn.Module]:
        """Return two convolutional blocks, a dense block and the output layer."""
        channels, height, width = shape
        wide = 2 * self.width
        blocks = nn.Sequential(
            self.conv_block(channels, self.width, 5, pool=True, dropout=self.conv_dropout),
            self.conv_block(self.width, wide, 5, pool=True, dropout=self.conv_dropout),
        )
        return OrderedDict(
            blocks=blocks,
            flatten=nn.Flatten(),
            dense=self.dense_block(wide * (height // 4) * (width // 4), wide),
            output=nn.Linear(wide, classes),
        )
