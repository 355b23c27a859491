"""MLP classifier: a multilayer perceptron of flattened images."""

import math
from collections import OrderedDict

from torch import nn

from lipschitz.config import Depth, Width
from lipschitz.models.activations import Activation, check_activation
from lipschitz.models.base import ClassifierModel
from lipschitz.models.dropout import Rate
from lipschitz.models.initialisation import DiscriminatorInit, initialise
from lipschitz.models.mlp import perceptron


class MLPClassifier(ClassifierModel):
    """Fully connected classifier of images, without normalization layers."""

    source = "Yoshida and Miyato 2017, arXiv:1705.10941, use fully connected networks beside convolutional ones"
    kind = "images"

    width: Width = 256
    """Units of each hidden layer."""
    depth: Depth = 3
    """Number of hidden layers."""
    activation: Activation = "relu"
    """Activation function."""
    dropout: Rate = 0.0
    """Share of hidden units that are dropped in training."""
    init: DiscriminatorInit | None = None
    """Initial weights; null for ``he``."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless ``shape`` is the shape of an image, ``(c, h, w)``."""
        if len(shape) != 3:
            raise ValueError(f"mlp_classifier takes images, not points {shape}")
        check_activation(self.activation, self.width)

    def build_classifier(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """Build the classifier for images of ``shape``."""
        self.check(shape)
        net = perceptron(
            math.prod(shape),
            classes,
            width=self.width,
            depth=self.depth,
            name=self.activation,
            dropout=self.dropout,
        )
        initialise(net, self.activation, self.init or "he")
        return nn.Sequential(OrderedDict(flatten=nn.Flatten(), **dict(net.named_children())))
