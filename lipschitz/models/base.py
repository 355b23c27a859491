"""Base classes of models: records that build a discriminator, or a GAN pair; activations and He initialisation."""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

from torch import nn

from lipschitz.config import Config
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.models.group_sort import GroupSort

Activation = Literal["relu", "leaky_relu", "group_sort", "full_sort"]

NEGATIVE_SLOPE = 0.1
"""Negative slope of the leaky ReLU of Miyato et al. 2018 (arXiv:1802.05957, Table 3)."""


class Networks(NamedTuple):
    """A GAN pair of generator and discriminator, for samples of one shape.

    The generator maps latents ``(n, latent)`` to samples ``(n, *shape)``, the discriminator maps samples to ``(n, 1)``.
    The networks of a conditional pair take int64 labels ``(n,)`` as a second argument.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent: int


class Model(Config):
    """A network architecture, used with every constraint. Each block has an empty ``norm`` slot, an nn.Identity."""

    kind: ClassVar[Literal["points", "images"]]
    """The samples that it takes: ``points`` are vectors ``(d,)``, ``images`` are ``(c, h, w)``."""

    def is_conditional(self) -> bool:
        """Return whether the networks take the class label of a sample."""
        return False

    @abstractmethod
    def check(self, shape: tuple[int, ...]) -> None:
        """Check that the model supports samples of ``shape``.

        Raises:
            ValueError: the shape is not supported; the message says which are.
        """

    @abstractmethod
    def build_discriminator(self, shape: tuple[int, ...], classes: int | None = None) -> nn.Module:
        """Build the discriminator ``(n, *shape)`` -> ``(n, 1)``.

        Initial weights are drawn from torch's global generator.

        Args:
            shape: shape of one sample, without the batch.
            classes: number of class labels; required by a conditional model, ignored by others.

        Raises:
            ValueError: the shape is not supported, or ``classes`` is missing.
        """


class PairModel(Model):
    """A model that builds both networks of a GAN."""

    @abstractmethod
    def build(self, shape: tuple[int, ...], classes: int | None = None) -> Networks:
        """Build generator and discriminator.

        Initial weights are drawn from torch's global generator.

        Args:
            shape: shape of one sample, without the batch.
            classes: number of class labels; required by a conditional model, ignored by others.

        Raises:
            ValueError: the shape is not supported, or ``classes`` is missing.
        """


def activation(name: Activation) -> nn.Module:
    """Return a module of the activation ``name``."""
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(NEGATIVE_SLOPE)
        case "group_sort":
            return GroupSort()
        case "full_sort":
            return GroupSort(None)


def check_activation(name: Activation, width: int) -> None:
    """Raise ValueError unless the activation ``name`` supports ``width`` channels."""
    if name == "group_sort" and width % 2:
        raise ValueError(f"group_sort sorts pairs of channels, got width {width}; allowed: even widths")


def check_square(model: str, shape: tuple[int, ...], multiple: int) -> None:
    """Raise ValueError unless ``shape`` is ``(c, s, s)`` with s a multiple of ``multiple``."""
    if len(shape) != 3:
        raise ValueError(f"{model} takes images, not points {shape}; allowed: mlp, auto")
    _, height, width = shape
    if height != width or width % multiple:
        raise ValueError(f"{model} takes square images whose size is a multiple of {multiple}, not {height}x{width}")


def initialise(net: nn.Module, name: Activation) -> None:
    """Apply He initialisation (He et al. 2015, arXiv:1502.01852, eq. 15) for the activation ``name``; biases are zero.

    The compared papers do not state an initialisation. He initialisation preserves the scale of activations in networks
    without normalization layers, so that outputs do not vanish at the start with any constraint.
    """
    # Sorting preserves the norm, like a linear activation, whose slope is one.
    slope = {"relu": 0.0, "leaky_relu": NEGATIVE_SLOPE, "group_sort": 1.0, "full_sort": 1.0}[name]
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution stores input channels first, so that torch's "fan_out" is its fan-in.
            mode: Literal["fan_in", "fan_out"] = "fan_out" if isinstance(module, nn.ConvTranspose2d) else "fan_in"
            nn.init.kaiming_normal_(module.weight, a=slope, mode=mode, nonlinearity="leaky_relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


MODELS = ExtensionPoint("model", "models", "lipschitz.models", Model)
