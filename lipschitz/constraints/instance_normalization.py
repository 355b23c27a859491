"""Instance normalization in the blocks of the discriminator, as a baseline."""

from math import prod

import torch
from torch import nn

from lipschitz.constraints.base import Constraint, Refusal
from lipschitz.constraints.norm_slots import fill_norm_slots, freeze_gain, slot_shapes


class InstanceNormalization(Constraint):
    """Normalise each channel of each sample over its positions, in the blocks of the discriminator; no useful bound.

    (x - mean) / √(variance + ε) with ε = 1e-5, over the positions of a channel, then a shift per channel. Slots with
    one position stay empty, since their output would be constant: those are all slots of a network of points, and the
    last ones where small images end in 1x1 maps.
    """

    source = "Ulyanov et al. 2016, arXiv:1607.08022, eq. 2"
    promise = "none"

    gain: bool = False
    """Whether to train a multiplier γ per channel, initially one."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Put an instance normalization into every empty ``norm`` slot of several positions; raise Refusal if none."""
        shapes = slot_shapes(net, shape)
        if shapes and not any(prod(one[1:]) > 1 for one in shapes.values()):
            raise Refusal(
                f"{self.name()} normalises over the positions of a channel, and every 'norm' slot has one position; "
                "allowed: convolutions on images, or layer_normalization"
            )
        fill_norm_slots(self.name(), net, shape, self._norm)
        return net

    def _norm(self, shape: torch.Size) -> nn.Module:
        if prod(shape[1:]) == 1:
            return nn.Identity()
        # GroupNorm with a group per channel is instance normalization, and its γ can be frozen as that of the others.
        norm = nn.GroupNorm(shape[0], shape[0])
        if not self.gain:
            freeze_gain(norm)
        return norm
