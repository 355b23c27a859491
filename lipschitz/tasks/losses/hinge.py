"""The hinge loss."""

from torch import Tensor
from torch.nn.functional import relu

from lipschitz.tasks.losses.base import Loss


class Hinge(Loss):
    """Hinge loss of the discriminator; the generator maximises the discriminator's output."""

    source = "Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16-17"

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z)))."""
        return relu(1 - real).mean() + relu(1 + generated).mean()

    def generator(self, generated: Tensor) -> Tensor:
        """Return -mean D(G(z))."""
        return -generated.mean()
