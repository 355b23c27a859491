"""A loss of your own: cross-entropy with smoothed labels of real samples."""

from torch import Tensor
from torch.nn.functional import softplus

from lipschitz.tasks.losses import GANLoss


class SmoothedLabels(GANLoss):
    """Non-saturating cross-entropy; real samples have the label ``real_label`` instead of one."""

    source = "Salimans et al. 2016, arXiv:1606.03498, Sec. 3.4"

    real_label: float = 0.9
    """Label of real samples, in [0, 1]."""

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return the cross-entropy of sigmoid D, with label ``real_label`` for real and zero for generated samples."""
        smoothed = self.real_label * softplus(-real) + (1 - self.real_label) * softplus(real)
        return smoothed.mean() + softplus(generated).mean()

    def generator(self, generated: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -mean log sigmoid D(G(z)); ``real`` is None, since the class does not set ``generator_sees_real``."""
        return softplus(-generated).mean()
