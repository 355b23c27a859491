"""Batch normalization in every block of the discriminator, as a baseline."""

import torch
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.norm_slots import fill_norm_slots, freeze_gain


class BatchNormalization(Constraint):
    """Normalise each channel over the batch in every block of the discriminator; a baseline without a Lipschitz bound.

    In training mode by the statistics of the batch, in eval mode by their running averages. In training mode the
    discriminator is then not a function of a single sample: gradient penalties refuse such a network, and real and
    generated samples are passed through the discriminator in separate batches. By default there is no multiplier γ, as
    in Miyato et al. 2018 (arXiv:1802.05957, Sec. 4 and Table 2).
    """

    source = "Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 1"
    promise = "none"

    gain: bool = False
    """Whether to train a multiplier γ per channel, initially one, as Ioffe & Szegedy do. Miyato et al. have no γ."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Put a batch normalization into every empty ``norm`` slot; raise Refusal if there is none."""
        fill_norm_slots(self.name(), net, shape, self._norm)
        return net

    def _norm(self, shape: torch.Size) -> nn.Module:
        norm = nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
        if not self.gain:
            freeze_gain(norm)
        return norm
