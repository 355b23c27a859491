"""A small convolutional image classifier, whose penultimate layer serves as a feature space to compare images."""

import math
from collections import OrderedDict
from itertools import pairwise

from torch import Tensor, nn

FEATURES = 64
"""Width of the penultimate layer."""


class Classifier(nn.Module):
    """Convolutional classifier: blocks of 3x3 convolution, ReLU and 2x2 max pooling, then 64 features and class scores.

    Blocks are stacked until the map is 4x4 or smaller: one block for 8x8 images, three for 32x32. The last block has 64
    channels, and each block before it half as many.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        """Build for images of ``shape`` ``(c, h, w)``, with weights drawn from torch's global generator."""
        super().__init__()
        channels, height, width = shape
        blocks = max(1, math.ceil(math.log2(max(height, width) / 4)))
        widths = [channels] + [max(8, FEATURES >> (blocks - 1 - i)) for i in range(blocks)]
        pooled = widths[-1] * (height >> blocks) * (width >> blocks)
        self.body = nn.Sequential(
            OrderedDict(
                blocks=nn.Sequential(*(_block(i, o) for i, o in pairwise(widths))),
                flatten=nn.Flatten(),
                features=nn.Linear(pooled, FEATURES),
                # With a ReLU a third of the features would be zero for every image.
                activation=nn.GELU(),
            )
        )
        self.head = nn.Linear(FEATURES, classes)

    def features(self, images: Tensor) -> Tensor:
        """Map images ``(n, c, h, w)`` in [-1, 1] to features ``(n, 64)``."""
        features: Tensor = self.body(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(n, c, h, w)`` in [-1, 1] to unnormalised log-probabilities ``(n, classes)``."""
        scores: Tensor = self.head(self.features(images))
        return scores


def _block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(inputs, outputs, 3, padding=1), activation=nn.ReLU(), pool=nn.MaxPool2d(2))
    )
