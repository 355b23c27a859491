"""GAN losses, an axis of a sweep that is independent of the constraint: hinge, non-saturating, minimax, Wasserstein."""

from abc import abstractmethod

from torch import Tensor
from torch.nn.functional import relu, softplus

from lipschitz.config import Config
from lipschitz.extensions.point import ExtensionPoint


class Loss(Config):
    """The losses of both networks: scalars, computed from the discriminator's outputs ``(n, 1)`` before any sigmoid.

    A subclass is a class in this module, called ``named``, or a file of yours.
    """

    @abstractmethod
    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return the discriminator's loss, a scalar, from D(real) and D(generated), ``(n, 1)`` each."""

    @abstractmethod
    def generator(self, generated: Tensor) -> Tensor:
        """Return the generator's loss, a scalar, from D(generated), ``(n, 1)``."""


class Hinge(Loss):
    """Hinge loss of the discriminator; the generator maximises the discriminator's output."""

    named = "hinge"
    source = "Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16-17"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z)))."""
        return relu(1 - real).mean() + relu(1 + generated).mean()

    def generator(self, generated: Tensor) -> Tensor:
        """Return -mean D(G(z))."""
        return -generated.mean()


class NonSaturating(Loss):
    """Cross-entropy; the generator maximises log D(G(z))."""

    named = "non_saturating"
    source = "Goodfellow et al. 2014, arXiv:1406.2661, Sec. 3"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return -mean log sigmoid D(x) - mean log(1 - sigmoid D(G(z)))."""
        return softplus(-real).mean() + softplus(generated).mean()

    def generator(self, generated: Tensor) -> Tensor:
        """Return -mean log sigmoid D(G(z))."""
        return softplus(-generated).mean()


class Minimax(Loss):
    """Cross-entropy; the generator minimises log(1 - D(G(z))), whose gradient vanishes while its samples are bad."""

    named = "minimax"
    source = "Goodfellow et al. 2014, arXiv:1406.2661, eq. 1"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return -mean log sigmoid D(x) - mean log(1 - sigmoid D(G(z)))."""
        return softplus(-real).mean() + softplus(generated).mean()

    def generator(self, generated: Tensor) -> Tensor:
        """Return mean log(1 - sigmoid D(G(z)))."""
        return -softplus(generated).mean()


class Wasserstein(Loss):
    """Difference of means: for a 1-Lipschitz D the dual form of the Wasserstein-1 distance."""

    named = "wasserstein"
    source = "Arjovsky et al. 2017, arXiv:1701.07875, eq. 2-3"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return mean D(G(z)) - mean D(x)."""
        return generated.mean() - real.mean()

    def generator(self, generated: Tensor) -> Tensor:
        """Return -mean D(G(z))."""
        return -generated.mean()


LOSSES = ExtensionPoint("loss", "losses", "lipschitz.tasks.losses", Loss)
