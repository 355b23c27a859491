"""VGG: the plain convolutional classifier VGG-11 for 32x32 images, and a shallower VGG-lite."""

from collections import OrderedDict
from typing import Literal

from torch import nn

from lipschitz.config import Width
from lipschitz.models.classifier_blocks import ImageClassifier
from lipschitz.models.dropout import Dropout, Rate

STAGES = {"vgg11": ((1, 1), (2, 1), (4, 2), (8, 2), (8, 2)), "lite": ((1, 1), (2, 1), (4, 1))}
"""For each stage, which ends in 2x2 max pooling: width in multiples of the first, and number of convolutions."""


class VGG(ImageClassifier):
    """Stages of 3x3 convolutions and 2x2 max pooling, and one dense layer as is usual for 32x32 images.

    The published network, for 224x224 images, has two more dense layers of 4096 units.
    """

    source = "Simonyan and Zisserman 2015, arXiv:1409.1556, Table 1, network A"

    layout: Literal["auto", "vgg11", "lite"] = "auto"
    """``vgg11``: stages of 1, 1, 2, 2, 2 convolutions, for images of 32x32 or more. ``lite``: three stages of one, for
    8x8 or more. ``auto``: the first of these that the image is large enough for."""
    width: Width = 64
    """Channels of the first stage; the next have 2, 4, 8 and 8 times as many."""
    dropout: Rate = 0.0
    """Rate of dropout before the output layer; zero for none."""

    def check_size(self, size: int) -> None:
        """Raise ValueError for images that the pooling would make empty."""
        self.at_least(size, 1 << len(self._stages(size)))

    def layers(self, shape: tuple[int, int, int], classes: int) -> OrderedDict[str, nn.Module]:
        """Return the convolutional blocks and the output layer."""
        inputs, height, width = shape
        blocks, stages = [], self._stages(height)
        for times, convolutions in stages:
            outputs = times * self.width
            for index in range(convolutions):
                blocks.append(self.conv_block(inputs, outputs, pool=index == convolutions - 1))
                inputs = outputs
        layers = OrderedDict[str, nn.Module](blocks=nn.Sequential(*blocks), flatten=nn.Flatten())
        if self.dropout:
            layers["dropout"] = Dropout(self.dropout)
        layers["output"] = nn.Linear(inputs * (height >> len(stages)) * (width >> len(stages)), classes)
        return layers

    def _stages(self, size: int) -> tuple[tuple[int, int], ...]:
        if self.layout != "auto":
            return STAGES[self.layout]
        return STAGES["vgg11" if size >= 32 else "lite"]
