"""Layer normalization: each sample's activations are normalised in every block of the discriminator."""

import torch
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.norm_slots import fill_norm_slots, freeze_gain


class LayerNormalization(Constraint):
    """Normalise each sample over all its axes, in every block's norm slot: a baseline, no bound.

    (x - mean) / √(variance + ε), ε = 1e-5, over channels and positions together, then one shift per channel: as in the
    discriminators of Gulrajani et al. 2017 (arXiv:1704.00028, Sec. 4; per channel in their released code) and, without
    the multiplier γ, of Miyato et al. 2018 (arXiv:1802.05957, Sec. 4 and Table 2). Its Lipschitz constant is 1/√ε,
    about 316, reached where a sample's activations are all equal.
    """

    source = "Ba et al. 2016, arXiv:1607.06450; in the discriminator Gulrajani et al. 2017, arXiv:1704.00028"
    promise = "none"

    gain: bool = False
    """Train the multiplier γ, one per channel, from one. Gulrajani et al. do; Miyato et al. leave it out."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Fill the slots; refuse a network that has none."""
        fill_norm_slots(self.name(), net, shape, self._norm)
        return net

    def _norm(self, shape: torch.Size) -> nn.Module:
        # One group of all channels: unlike nn.LayerNorm's, its shift is per channel, not per element.
        norm = nn.GroupNorm(1, shape[0])
        if not self.gain:
            freeze_gain(norm)
        return norm
