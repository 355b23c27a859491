"""Layer normalization in every block of the discriminator, as a baseline."""

import torch
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.norm_slots import fill_norm_slots, freeze_gain


class LayerNormalization(Constraint):
    """Normalise each sample's activations in every block of the discriminator; a baseline without a useful bound.

    (x - mean) / √(variance + ε) with ε = 1e-5, over channels and positions together, then a shift per channel. This is
    as in Gulrajani et al. 2017 (arXiv:1704.00028, Sec. 4; the shift is per channel in their released code). By default
    there is no multiplier γ, as in Miyato et al. 2018 (arXiv:1802.05957, Sec. 4 and Table 2). The Lipschitz constant
    without γ is 1/√ε, about 316, attained where all activations of a sample are equal.
    """

    source = "Ba et al. 2016, arXiv:1607.06450; in the discriminator Gulrajani et al. 2017, arXiv:1704.00028"
    promise = "none"

    gain: bool = False
    """Whether to train a multiplier γ per channel, initially one, as Gulrajani et al. do. Miyato et al. have no γ."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Put a layer normalization into every empty ``norm`` slot; raise Refusal if there is none."""
        fill_norm_slots(self.name(), net, shape, self._norm)
        return net

    def _norm(self, shape: torch.Size) -> nn.Module:
        # GroupNorm with one group is layer normalization with a shift per channel; nn.LayerNorm has one per element.
        norm = nn.GroupNorm(1, shape[0])
        if not self.gain:
            freeze_gain(norm)
        return norm
