"""The minimax GAN loss."""

from torch import Tensor
from torch.nn.functional import softplus

from lipschitz.tasks.losses.base import Loss


class Minimax(Loss):
    """Cross-entropy; the generator minimises log(1 - D(G(z))), whose gradient vanishes while its samples are bad."""

    source = "Goodfellow et al. 2014, arXiv:1406.2661, eq. 1"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return -mean log sigmoid D(x) - mean log(1 - sigmoid D(G(z)))."""
        return softplus(-real).mean() + softplus(generated).mean()

    def generator(self, generated: Tensor) -> Tensor:
        """Return mean log(1 - sigmoid D(G(z)))."""
        return -softplus(generated).mean()
