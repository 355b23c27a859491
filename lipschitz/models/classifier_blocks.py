"""What the image classifiers share: fields, convolutional and dense blocks with a norm slot, dropout."""

from abc import abstractmethod
from collections import OrderedDict

from torch import nn

from lipschitz.config import Width
from lipschitz.models.activations import Activation, activation, check_activation
from lipschitz.models.base import ClassifierModel
from lipschitz.models.dropout import Dropout, Rate
from lipschitz.models.initialisation import DiscriminatorInit, initialise


class ImageClassifier(ClassifierModel):
    """A classifier of images: a composition of layers, activations, pooling and residual sums."""

    kind = "images"

    width: Width
    """Channels of the first convolution, or units of a hidden layer; all other widths are multiples of it."""
    activation: Activation = "relu"
    """Activation function."""
    dropout: Rate = 0.0
    """Rate of dropout before each dense layer but the first; zero for none."""
    batch_norm: bool = False
    """Whether batch normalization, with γ and β, follows each hidden layer."""
    init: DiscriminatorInit | None = None
    """Initial weights; null for ``he``."""

    @abstractmethod
    def check_size(self, size: int) -> None:
        """Raise ValueError unless images of ``size`` x ``size`` pixels are supported; the message says which are."""

    @abstractmethod
    def layers(self, shape: tuple[int, int, int], classes: int) -> OrderedDict[str, nn.Module]:
        """Return the layers in order, before weights are drawn, for images of ``shape`` ``(c, s, s)``."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless ``shape`` is ``(c, s, s)`` of a supported size, and the width fits the activation."""
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ValueError(f"{self.name()} takes square images (c, s, s), got samples of shape {tuple(shape)}")
        self.check_size(shape[2])
        check_activation(self.activation, self.width)

    def build_classifier(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """Build the classifier of images ``(n, c, s, s)`` in [-1, 1] -> logits ``(n, classes)``."""
        self.check(shape)
        channels, height, width = shape
        net = nn.Sequential(self.layers((channels, height, width), classes))
        initialise(net, self.activation, self.init or "he")
        return net

    def conv_block(
        self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, pool: bool = False, dropout: float = 0.0
    ) -> nn.Sequential:
        """Return a convolution that keeps the size of a map, or divides an even one by ``stride``, and its activation.

        With ``pool``, 2x2 max pooling follows.
        """
        block = OrderedDict[str, nn.Module](
            conv=nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2),
            norm=nn.BatchNorm2d(outputs) if self.batch_norm else nn.Identity(),
            activation=activation(self.activation, outputs),
        )
        if dropout:
            block["dropout"] = Dropout(dropout)
        if pool:
            block["pool"] = nn.MaxPool2d(2)
        return nn.Sequential(block)

    def dense_block(self, inputs: int, outputs: int) -> nn.Sequential:
        """Return a dense layer with its activation, and dropout if there is any."""
        block = OrderedDict[str, nn.Module](
            linear=nn.Linear(inputs, outputs),
            norm=nn.BatchNorm1d(outputs) if self.batch_norm else nn.Identity(),
            activation=activation(self.activation, outputs),
        )
        if self.dropout:
            block["dropout"] = Dropout(self.dropout)
        return nn.Sequential(block)

    def at_least(self, size: int, least: int) -> None:
        """Raise ValueError if images of ``size`` pixels are smaller than ``least``."""
        if size < least:
            raise ValueError(f"{self.name()} takes images of {least}x{least} pixels or more, not {size}x{size}")
