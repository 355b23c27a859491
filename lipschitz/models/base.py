"""Base classes of models: records that build a discriminator, a GAN pair, or a classifier."""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

from torch import nn

from lipschitz.config import Config
from lipschitz.extensions.point import ExtensionPoint


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

    residual: ClassVar[bool] = False
    """Whether the networks are made of residual blocks."""

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


class ClassifierModel(Model):
    """A model that builds a classifier of images. With one output it is a discriminator or a critic."""

    @abstractmethod
    def build_classifier(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """Build the classifier: images ``(n, *shape)`` -> logits ``(n, classes)``.

        Initial weights are drawn from torch's global generator.

        Args:
            shape: shape of one image, ``(c, h, w)``.
            classes: number of logits.

        Raises:
            ValueError: the shape is not supported.
        """

    def build_discriminator(self, shape: tuple[int, ...], classes: int | None = None) -> nn.Module:
        """Build the network with one output; ``classes`` is ignored."""
        return self.build_classifier(shape, 1)


def check_square(model: str, shape: tuple[int, ...], multiple: int) -> None:
    """Raise ValueError unless ``shape`` is ``(c, s, s)`` with s a multiple of ``multiple``."""
    if len(shape) != 3:
        raise ValueError(f"{model} takes images, not points {shape}; allowed: mlp, auto")
    _, height, width = shape
    if height != width or width % multiple:
        raise ValueError(f"{model} takes square images whose size is a multiple of {multiple}, not {height}x{width}")


MODELS = ExtensionPoint("model", "models", "lipschitz.models", Model)
