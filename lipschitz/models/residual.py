"""Residual blocks of SN-GAN's ResNets (Miyato et al. 2018, arXiv:1802.05957, Fig. 8), and self-attention."""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from lipschitz.models.activations import Activation, activation
from lipschitz.models.conditional import batch_norm, call_with_labels, sequential_class
from lipschitz.models.initialisation import DiscriminatorInit, initialise

REDUCTION = 8
"""Ratio of the channels of the feature map to those of queries, keys and values; k in Sec. 3 of the paper."""


class SelfAttention(nn.Module):
    """Self-attention with a residual connection (Zhang et al. 2019, arXiv:1805.08318, eq. 1-3).

    y = x + γ v(softmax(f(x) g(x)ᵀ) h(x)), where f, g, h and v are 1x1 convolutions without bias, and γ is trained,
    initially zero. The layer is not Lipschitz continuous (Kim et al. 2021, arXiv:2006.04710). torch's fused attention
    is not used, because it cannot be differentiated twice.
    """

    def __init__(self, channels: int, *, as_released: bool = False) -> None:
        """Take the number of channels, and whether values have C/2 of them and keys and values are max-pooled.

        The latter is the released code of SAGAN; the paper has C/8 and no pooling.
        """
        super().__init__()
        inner = max(1, channels // REDUCTION)
        values = max(1, channels // 2) if as_released else inner
        self.key, self.query = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(2))
        self.value = nn.Conv2d(channels, values, 1, bias=False)
        self.output = nn.Conv2d(values, channels, 1, bias=False)
        self.pool = nn.MaxPool2d(2) if as_released else nn.Identity()
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to the same shape."""
        # In this order: gradients of x are summed in it.
        key, query, value = (conv(x) for conv in (self.key, self.query, self.value))
        key, query, value = self.pool(key).flatten(2), query.flatten(2), self.pool(value).flatten(2)
        # Rows are query positions, columns are key positions.
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=-1)
        attended = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        output: Tensor = x + self.gamma * self.output(attended)
        return output


class ResidualBlock(nn.Module):
    """Residual block x -> second(first(x)) + shortcut(x); labels are passed to first and second if they take them."""

    def __init__(self, first: nn.Module, second: nn.Module, shortcut: nn.Module, *, takes_labels: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.shortcut = first, second, shortcut
        self.takes_labels = takes_labels

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map ``x`` ``(n, c, h, w)``, and labels ``(n,)`` if conditional, to ``(n, c', h', w')``."""
        branch = call_with_labels(self.second, call_with_labels(self.first, x, labels), labels)
        output: Tensor = branch + self.shortcut(x)
        return output


def up_block(inputs: int, outputs: int, classes: int | None) -> ResidualBlock:
    """Return a generator block ``(n, inputs, s, s)`` -> ``(n, outputs, 2 s, 2 s)`` with batch normalization."""
    sequential, up = sequential_class(classes), {"up": nn.Upsample(scale_factor=2)}
    first = OrderedDict(norm=batch_norm(inputs, classes), activation=nn.ReLU(), **up, conv=_conv3(inputs, outputs))
    second = OrderedDict(norm=batch_norm(outputs, classes), activation=nn.ReLU(), conv=_conv3(outputs, outputs))
    shortcut = nn.Sequential(OrderedDict(**up, conv=nn.Conv2d(inputs, outputs, 1)))
    return ResidualBlock(sequential(first), sequential(second), shortcut, takes_labels=classes is not None)


def down_block(inputs: int, outputs: int, name: Activation, *, down: bool) -> ResidualBlock:
    """Return a discriminator block with empty ``norm`` slots; with ``down``, average pooling halves the map.

    The hidden convolution has as many output channels as the block has inputs, as in the authors' code.
    """
    pool: dict[str, nn.Module] = {"pool": nn.AvgPool2d(2)} if down else {}
    first = OrderedDict(norm=nn.Identity(), activation=activation(name, inputs), conv=_conv3(inputs, inputs))
    second = OrderedDict(norm=nn.Identity(), activation=activation(name, inputs), conv=_conv3(inputs, outputs), **pool)
    shortcut: nn.Module = nn.Identity()
    if down or inputs != outputs:
        shortcut = nn.Sequential(OrderedDict(conv=nn.Conv2d(inputs, outputs, 1), **pool))
    return ResidualBlock(nn.Sequential(first), nn.Sequential(second), shortcut)


def first_block(inputs: int, outputs: int, name: Activation) -> ResidualBlock:
    """Return the discriminator's first block as in the authors' code, which halves the map.

    There is no activation before the first convolution, and the shortcut pools before its convolution.
    """
    second = OrderedDict(
        norm=nn.Identity(), activation=activation(name, outputs), conv=_conv3(outputs, outputs), pool=nn.AvgPool2d(2)
    )
    shortcut = OrderedDict(pool=nn.AvgPool2d(2), conv=nn.Conv2d(inputs, outputs, 1))
    first = nn.Sequential(OrderedDict(conv=_conv3(inputs, outputs)))
    return ResidualBlock(first, nn.Sequential(second), nn.Sequential(shortcut))


class MeanPool(nn.Module):
    """Global average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c)``."""
        return x.mean(dim=(2, 3))


class SumPool(nn.Module):
    """Global sum pooling."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c)``."""
        return x.sum(dim=(2, 3))


def initialise_residual(net: nn.Module, name: Activation, init: DiscriminatorInit) -> None:
    """Draw the weights of a network of residual blocks; biases are zero.

    With ``glorot`` the convolutions in residual branches have gain √2, and all others 1: so the published ResNets of
    SN-GAN and WGAN-GP start.
    """
    initialise(net, name, init)
    if init != "glorot":
        return
    for block in net.modules():
        if isinstance(block, ResidualBlock):
            for branch in (block.first, block.second):
                conv = branch.get_submodule("conv")
                assert isinstance(conv, nn.Conv2d)
                with torch.no_grad():
                    conv.weight.mul_(math.sqrt(2))


def _conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
