"""The Wasserstein loss."""

from torch import Tensor

from lipschitz.tasks.losses.base import Loss


class Wasserstein(Loss):
    """Difference of means: the dual of the Wasserstein-1 distance where D is 1-Lipschitz."""

    source = "Arjovsky et al. 2017, arXiv:1701.07875, eq. 2-3"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return mean D(G(z)) - mean D(x)."""
        return generated.mean() - real.mean()

    def generator(self, generated: Tensor) -> Tensor:
        """Return -mean D(G(z))."""
        return -generated.mean()
