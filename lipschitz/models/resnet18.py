"""ResNet-18 for 32x32 images: the residual classifier of CIFAR, with a 3x3 first convolution and no max pooling."""

from collections import OrderedDict

from torch import nn

from lipschitz.config import Width
from lipschitz.models.activations import activation
from lipschitz.models.classifier_blocks import ImageClassifier
from lipschitz.models.dropout import Dropout, Rate
from lipschitz.models.residual import ResidualBlock

STAGES = ((1, 1), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1))
"""For each residual block: width in multiples of the first, and stride."""


class ResNet18(ImageClassifier):
    """Four stages of two residual blocks, average pooling and a dense layer, as is usual for 32x32 images.

    Shortcuts that change the width are 1x1 convolutions (option B of the paper). Convolutions have biases only without
    batch normalization.
    """

    source = "He et al. 2016, arXiv:1512.03385, Table 1"
    residual = True

    width: Width = 64
    """Channels of the first stage; the others have 2, 4 and 8 times as many."""
    batch_norm: bool = True
    """Whether batch normalization, with γ and β, follows each convolution, as published."""
    dropout: Rate = 0.0
    """Rate of dropout before the output layer; zero for none."""

    def check_size(self, size: int) -> None:
        """Raise ValueError for images of fewer than 8x8 pixels."""
        self.at_least(size, 8)

    def layers(self, shape: tuple[int, int, int], classes: int) -> OrderedDict[str, nn.Module]:
        """Return the first convolution, eight residual blocks, pooling and the output layer."""
        inputs, blocks = self.width, []
        for times, stride in STAGES:
            blocks.append(self._residual(inputs, times * self.width, stride))
            inputs = times * self.width
        stem = OrderedDict(**self._conv(shape[0], self.width, 3, 1), activation=activation(self.activation, self.width))
        layers = OrderedDict[str, nn.Module](
            stem=nn.Sequential(stem),
            blocks=nn.Sequential(*blocks),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
        if self.dropout:
            layers["dropout"] = Dropout(self.dropout)
        layers["output"] = nn.Linear(inputs, classes)
        return layers

    def _residual(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        first = OrderedDict(**self._conv(inputs, outputs, 3, stride), activation=activation(self.activation, outputs))
        shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            shortcut = nn.Sequential(self._conv(inputs, outputs, 1, stride))
        block = ResidualBlock(nn.Sequential(first), nn.Sequential(self._conv(outputs, outputs, 3, 1)), shortcut)
        return nn.Sequential(OrderedDict(residual=block, activation=activation(self.activation, outputs)))

    def _conv(self, inputs: int, outputs: int, kernel: int, stride: int) -> OrderedDict[str, nn.Module]:
        conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=not self.batch_norm)
        return OrderedDict(conv=conv, norm=nn.BatchNorm2d(outputs) if self.batch_norm else nn.Identity())
