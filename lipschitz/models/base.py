"""What every model is: a record that builds a generator and a discriminator for one shape of data."""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

from torch import nn

from lipschitz.records import Record

Activation = Literal["relu", "leaky_relu"]

LEAK = 0.1
"""Negative slope of the leaky ReLU of Miyato et al. 2018 (arXiv:1802.05957, Table 3)."""


class Networks(NamedTuple):
    """The GAN pair: latents ``(n, latent)`` -> generator -> ``(n, *shape)`` -> discriminator -> ``(n, 1)``."""

    generator: nn.Module
    discriminator: nn.Module
    latent: int


class Model(Record):
    """A backbone shared by every constraint: plain modules with a named ``norm`` slot in each block."""

    kind: ClassVar[Literal["points", "images"]]

    @abstractmethod
    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError, saying what is allowed, for a shape that this model cannot take."""

    @abstractmethod
    def build(self, shape: tuple[int, ...]) -> Networks:
        """Build both networks for samples of ``shape``, drawing initial weights from torch's global generator.

        Raises:
            ValueError: a shape that this model cannot take.
        """


def activation(name: Activation) -> nn.Module:
    """Return the activation module called ``name``."""
    return nn.ReLU() if name == "relu" else nn.LeakyReLU(LEAK)


def initialise(net: nn.Module, name: Activation) -> None:
    """Draw weights by He et al. 2015 (arXiv:1502.01852, eq. 15) for the activation ``name``; biases start at zero.

    The papers compared here do not state an initialisation. This one keeps the scale of activations through a network
    without normalisation layers, so that no constraint starts from vanishing outputs.
    """
    slope = 0.0 if name == "relu" else LEAK
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution stores its kernel input-first, so its fan-in reads as torch's "fan_out".
            mode: Literal["fan_in", "fan_out"] = "fan_out" if isinstance(module, nn.ConvTranspose2d) else "fan_in"
            nn.init.kaiming_normal_(module.weight, a=slope, mode=mode, nonlinearity="leaky_relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
