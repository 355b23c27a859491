"""Batch normalization: each channel is normalised over the batch in every block of the discriminator."""

import torch
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.norm_slots import fill_norm_slots, freeze_gain


class BatchNormalization(Constraint):
    """Normalise each channel over the batch, in every block's norm slot: a baseline, no bound.

    By the batch's own statistics in training, by their running averages in eval mode. The discriminator is then no
    function of one sample: a penalty on a sample's gradient refuses it, and real and generated samples are judged in
    batches of their own. As in Table 2 of Miyato et al. 2018 (arXiv:1802.05957, Sec. 4) without the multiplier γ.
    """

    source = "Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 1"
    promise = "none"

    gain: bool = False
    """Train the multiplier γ, one per channel, from one. Ioffe & Szegedy do; Miyato et al. leave it out."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Fill the slots; refuse a network that has none."""
        fill_norm_slots(self.name(), net, shape, self._norm)
        return net

    def _norm(self, shape: torch.Size) -> nn.Module:
        norm = nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
        if not self.gain:
            freeze_gain(norm)
        return norm
