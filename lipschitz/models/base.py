"""What every model is: a record that builds a discriminator, or a GAN pair, for one shape of data."""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

from torch import nn

from lipschitz.config import Config
from lipschitz.models.group_sort import GroupSort

Activation = Literal["relu", "leaky_relu", "group_sort", "full_sort"]

LEAK = 0.1
"""Negative slope of the leaky ReLU of Miyato et al. 2018 (arXiv:1802.05957, Table 3)."""


class Networks(NamedTuple):
    """The GAN pair: latents ``(n, latent)`` -> generator -> ``(n, *shape)`` -> discriminator -> ``(n, 1)``.

    A conditional pair takes int64 labels ``(n,)`` beside its inputs.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent: int


class Model(Config):
    """A backbone shared by every constraint: plain modules with a named ``norm`` slot in each block."""

    kind: ClassVar[Literal["points", "images"]]
    """What a sample is: a vector, or an image."""

    def is_conditional(self) -> bool:
        """Say whether the networks take the class of a sample."""
        return False

    @abstractmethod
    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError, saying what is allowed, for a shape that this model cannot take."""

    @abstractmethod
    def build_discriminator(self, shape: tuple[int, ...], classes: int | None = None) -> nn.Module:
        """Build the discriminator ``(n, *shape)`` -> ``(n, 1)``, its weights from torch's global generator.

        ``classes``, the number of labels, is needed by a conditional model and means nothing to others.

        Raises:
            ValueError: a shape that this model cannot take.
        """


class PairModel(Model):
    """A backbone for both networks of a GAN."""

    @abstractmethod
    def build(self, shape: tuple[int, ...], classes: int | None = None) -> Networks:
        """Build both networks for samples of ``shape``, drawing initial weights from torch's global generator.

        ``classes``, the number of labels, is needed by a conditional model and means nothing to others.

        Raises:
            ValueError: a shape that this model cannot take.
        """


def activation(name: Activation) -> nn.Module:
    """Return the activation module called ``name``."""
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(LEAK)
        case "group_sort":
            return GroupSort()
        case "full_sort":
            return GroupSort(None)


def check_activation(name: Activation, width: int) -> None:
    """Raise ValueError unless ``width`` channels can be given to the activation ``name``."""
    if name == "group_sort" and width % 2:
        raise ValueError(f"group_sort sorts pairs of channels: width is {width}; allowed: even ones")


def check_square(model: str, shape: tuple[int, ...], multiple: int) -> None:
    """Raise ValueError unless ``shape`` is ``(c, s, s)`` with s a multiple of ``multiple``."""
    if len(shape) != 3:
        raise ValueError(f"{model} takes images, not points {shape}; allowed: mlp, auto")
    _, height, width = shape
    if height != width or width % multiple:
        raise ValueError(f"{model} takes square images whose size is a multiple of {multiple}, not {height}x{width}")


def initialise(net: nn.Module, name: Activation) -> None:
    """Draw weights by He et al. 2015 (arXiv:1502.01852, eq. 15) for the activation ``name``; biases start at zero.

    The papers compared here do not state an initialisation. This one keeps the scale of activations through a network
    without normalisation layers, so that no constraint starts from vanishing outputs.
    """
    # Sorting keeps the norm, as a linear map does: a slope of one.
    slope = {"relu": 0.0, "leaky_relu": LEAK, "group_sort": 1.0, "full_sort": 1.0}[name]
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution stores its kernel input-first, so its fan-in reads as torch's "fan_out".
            mode: Literal["fan_in", "fan_out"] = "fan_out" if isinstance(module, nn.ConvTranspose2d) else "fan_in"
            nn.init.kaiming_normal_(module.weight, a=slope, mode=mode, nonlinearity="leaky_relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
