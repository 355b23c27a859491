"""Initial weights of networks: He, normal, Glorot, orthogonal, dirac, or torch's own.

The published networks start from different weights, and the order of methods depends on it. So the start is a field of
every model, ``init``, and an axis of sweeps. Biases start at zero, but for ``torch``.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from lipschitz.models.activations import NEGATIVE_SLOPE, Activation

GeneratorInit = Literal["he", "normal", "glorot", "orthogonal", "torch"]
"""How the weights of a generator are drawn; a discriminator may also start from ``dirac`` and ``method``.

See `Init`.
"""

Init = Literal["he", "normal", "glorot", "orthogonal", "dirac", "torch"]
"""How the weights of a network are drawn.

``he``: normal, with variance 2 / ((1 + a²) fan_in) for an activation of negative slope a (He et al. 2015,
arXiv:1502.01852, eq. 15). ``normal``: N(0, 0.02²) in every layer (Radford et al. 2016, arXiv:1511.06434, Sec. 4), as in
the released code of DCGAN, WGAN and chainer-gan-lib's SN-GAN. ``glorot``: uniform (Glorot and Bengio 2010, eq. 16).
``orthogonal``: a semi-orthogonal matrix of each reshaped kernel (Saxe et al. 2014, arXiv:1312.6120). ``dirac``: kernels
that are zero but for their centre, which is the identity where a layer keeps the number of channels or units, and else
semi-orthogonal (Xiao et al. 2018, arXiv:1806.05393). ``torch``: torch's default,
uniform within ±1/√fan_in, with such biases.
"""

DiscriminatorInit = Literal["he", "normal", "glorot", "orthogonal", "dirac", "torch", "method"]
"""How the weights of a discriminator are drawn. ``method``: as the constraint's authors do, which it declares."""

STD = 0.02
"""Standard deviation of ``normal``."""

Layer = nn.Linear | nn.Conv2d | nn.ConvTranspose2d


def initialise(
    net: nn.Module, activation: Activation, init: DiscriminatorInit, negative_slope: float = NEGATIVE_SLOPE
) -> None:
    """Draw the weights of all linear layers and convolutions of ``net`` from torch's global generator.

    Args:
        net: the network, changed in place.
        activation: its activation function, which ``he`` takes into account.
        init: how weights are drawn.
        negative_slope: that of the leaky ReLU.

    Raises:
        ValueError: ``init`` is ``method``, which `lipschitz.constraints.base.with_start` must replace before.
    """
    if init == "method":
        raise ValueError("init 'method' is the start of a constraint's authors; allowed: the model of `with_start`")
    if init == "torch":
        # Layers have these weights since they were made.
        return
    # Sorting and reflecting preserve the norm, like a linear activation, whose slope is one.
    slope = {"relu": 0.0, "leaky_relu": negative_slope}.get(activation, 1.0)
    for module in net.modules():
        if isinstance(module, Layer):
            _draw(module, init, slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _draw(layer: Layer, init: Init, slope: float) -> None:
    weight = layer.weight
    match init:
        case "he":
            # A transposed convolution stores input channels first, so that torch's "fan_out" is its fan-in.
            mode: Literal["fan_in", "fan_out"] = "fan_out" if isinstance(layer, nn.ConvTranspose2d) else "fan_in"
            nn.init.kaiming_normal_(weight, a=slope, mode=mode, nonlinearity="leaky_relu")
        case "normal":
            nn.init.normal_(weight, std=STD)
        case "glorot":
            nn.init.xavier_uniform_(weight)
        case "orthogonal":
            nn.init.orthogonal_(weight)
        case "dirac":
            _draw_centred(weight)


@torch.no_grad()
def _draw_centred(weight: Tensor) -> None:
    """Set kernels ``(outputs, inputs, ...)`` to zero but for their centre; a matrix is its own centre."""
    outputs, inputs, *sizes = weight.shape
    centre = weight.new_empty(outputs, inputs)
    if outputs == inputs:
        nn.init.eye_(centre)
    else:
        nn.init.orthogonal_(centre)
    tap = 0
    for size in sizes:
        tap = tap * size + (size - 1) // 2
    weight.zero_()
    weight.view(outputs, inputs, -1)[:, :, tap] = centre
