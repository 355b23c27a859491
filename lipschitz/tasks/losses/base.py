"""The base class of losses."""

from abc import abstractmethod

from torch import Tensor

from lipschitz.config import Config


class Loss(Config):
    """The losses of both networks: scalars, computed from the discriminator's outputs ``(n, 1)`` before any sigmoid.

    A subclass is one file in this package, named after the loss.
    """

    @abstractmethod
    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return the discriminator's loss, a scalar, from D(real) and D(generated), ``(n, 1)`` each."""

    @abstractmethod
    def generator(self, generated: Tensor) -> Tensor:
        """Return the generator's loss, a scalar, from D(generated), ``(n, 1)``."""
