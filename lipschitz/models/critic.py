"""Critic of the continuous Wasserstein-1 benchmark: a multilayer perceptron that estimates a potential."""

from torch import nn

from lipschitz.config import Depth, Width
from lipschitz.models.activations import Activation, check_activation
from lipschitz.models.base import Model
from lipschitz.models.initialisation import DiscriminatorInit, initialise
from lipschitz.models.mlp import perceptron


class Critic(Model):
    """Fully connected critic for the transport task, with two hidden layers of max(2 d, 128) units."""

    source = "Korotin et al. 2022, arXiv:2206.07767, continuous Wasserstein-1 benchmark"
    kind = "points"

    width: Width | None = None
    """Units of each hidden layer; null for the published max(2 d, 128), where d is the dimension of the points."""
    depth: Depth = 2
    """Number of hidden layers."""
    activation: Activation = "relu"
    """Activation function; ``full_sort`` together with the constraint orthogonal is "sorting out"."""
    init: DiscriminatorInit | None = None
    """Initial weights and biases; null for ``torch``, as the published critics start."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless ``shape`` is the shape of a point, ``(d,)``."""
        if len(shape) != 1:
            raise ValueError(f"critic takes points, not images {shape}; allowed: (d,)")
        check_activation(self.activation, self._width(shape[0]))

    def build_discriminator(self, shape: tuple[int, ...], classes: int | None = None) -> nn.Module:
        """Build the critic for points of ``shape`` ``(d,)``."""
        self.check(shape)
        (dimension,) = shape
        net = perceptron(dimension, 1, width=self._width(dimension), depth=self.depth, name=self.activation)
        initialise(net, self.activation, self.init or "torch")
        return net

    def _width(self, dimension: int) -> int:
        return self.width or max(2 * dimension, 128)
