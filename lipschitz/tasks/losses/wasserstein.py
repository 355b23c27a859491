"""The Wasserstein loss."""

from torch import Tensor

from lipschitz.tasks.losses.base import Loss


class Wasserstein(Loss):
    """Difference of means: for a 1-Lipschitz D the dual form of the Wasserstein-1 distance."""

    source = "Arjovsky et al. 2017, arXiv:1701.07875, eq. 2-3"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return mean D(G(z)) - mean D(x)."""
        return generated.mean() - real.mean()

    def generator(self, generated: Tensor) -> Tensor:
        """Return -mean D(G(z))."""
        return -generated.mean()
