"""MLP: a GAN pair of multilayer perceptrons for points."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from lipschitz.config import Depth, Width
from lipschitz.models.activations import Activation, activation, check_activation
from lipschitz.models.base import Networks, PairModel
from lipschitz.models.dropout import Dropout, Rate
from lipschitz.models.initialisation import DiscriminatorInit, GeneratorInit, initialise


def perceptron(
    inputs: int, outputs: int, *, width: int, depth: int, name: Activation, dropout: float = 0.0
) -> nn.Sequential:
    """Return a perceptron ``(n, inputs)`` -> ``(n, outputs)`` with ``depth`` hidden layers of ``width`` units.

    Weights have torch's default initialisation. In training the share ``dropout`` of hidden units is dropped.
    """
    blocks = [_block(a, b, name, dropout) for a, b in pairwise([inputs] + [width] * depth)]
    return nn.Sequential(OrderedDict(blocks=nn.Sequential(*blocks), output=nn.Linear(width, outputs)))


def _block(inputs: int, outputs: int, name: Activation, dropout: float) -> nn.Module:
    layers = OrderedDict(linear=nn.Linear(inputs, outputs), norm=nn.Identity(), activation=activation(name, outputs))
    return nn.Sequential(layers | ({"dropout": Dropout(dropout)} if dropout else {}))


class MLP(PairModel):
    """Fully connected generator and discriminator for points, without normalization layers.

    Three hidden layers, as in the toy experiments of Gulrajani et al. 2017, who use width 512.
    """

    source = "Gulrajani et al. 2017, arXiv:1704.00028, toy data"
    kind = "points"

    width: Width = 128
    """Units of each hidden layer."""
    depth: Depth = 3
    """Number of hidden layers."""
    latent: Width = 2
    """Dimension of the generator's Gaussian input."""
    activation: Activation = "relu"
    """Activation function of both networks."""
    init: DiscriminatorInit | None = None
    """Initial weights of the discriminator; null for ``he``."""
    generator_init: GeneratorInit | None = None
    """Initial weights of the generator; null for ``he``."""
    dropout: Rate = 0.0
    """Share of the discriminator's hidden units that is dropped in training."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless ``shape`` is the shape of a point, ``(d,)``."""
        if len(shape) != 1:
            raise ValueError(f"mlp takes points, not images {shape}; allowed: dcgan, auto")
        check_activation(self.activation, self.width)

    def build(self, shape: tuple[int, ...], classes: int | None = None) -> Networks:
        """Build the pair for points of ``shape`` ``(d,)``."""
        self.check(shape)
        (dimension,) = shape
        return Networks(
            self._perceptron(self.latent, dimension, self.generator_init), self.build_discriminator(shape), self.latent
        )

    def build_discriminator(self, shape: tuple[int, ...], classes: int | None = None) -> nn.Module:
        """Build the discriminator for points of ``shape`` ``(d,)``."""
        self.check(shape)
        return self._perceptron(shape[0], 1, self.init, self.dropout)

    def _perceptron(self, inputs: int, outputs: int, init: DiscriminatorInit | None, dropout: float = 0.0) -> nn.Module:
        net = perceptron(inputs, outputs, width=self.width, depth=self.depth, name=self.activation, dropout=dropout)
        initialise(net, self.activation, init or "he")
        return net
