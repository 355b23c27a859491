"""A small classifier of images, in whose features other images are compared."""

import math
from collections import OrderedDict
from itertools import pairwise

from torch import Tensor, nn

FEATURES = 64
"""Width of the penultimate layer."""


class Classifier(nn.Module):
    """Blocks of 3x3 convolution, ReLU and 2x2 max pooling down to 4x4 or less; 64 features; class scores.

    The last block has 64 channels, each one before it half as many: 8x8 images take one block, 32x32 three.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        """Build for images of ``shape`` ``(c, h, w)``, drawing weights from torch's global generator."""
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
                # A ReLU here would leave a third of the features at zero for every image.
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
