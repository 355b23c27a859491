"""Augmentation of images before the discriminator, apart from constraints: flip, crop, dequantisation, DiffAugment.

The discriminator judges augmented images in both updates. Penalties get them, too: a gradient penalty acts where the
loss does, at T(x) and between T(x) and T(G(z)), on D's own gradient, and never through T. Otherwise a method would
bound the slope at images that D is not trained on, and outputs that are reused by penalties would belong to other
images. Evaluations, also those of gradients and of the Lipschitz constant, use images as they are.
"""

from abc import abstractmethod
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from lipschitz.config import Config
from lipschitz.datasets.images.random_transforms import random_color, random_cutout, random_flip, random_shift
from lipschitz.extensions.point import ExtensionPoint


class Augmentation(Config):
    """A random transform of images. A subclass is a class in this module, called ``named``, or a file of yours."""

    on_generated: ClassVar[bool] = True
    """Whether generated images are augmented like real ones, in both updates."""

    @abstractmethod
    def augment(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return ``images``, float32 ``(n, c, h, w)`` in [-1, 1], augmented: differentiable, and in the same shape.

        ``rng`` is the run's random stream of augmentations, on the images' device. A CUDA graph must be able to capture
        this: nothing may wait for the device.
        """


class Flip(Augmentation):
    """Flip real images from left to right with probability 1/2; generated images stay as they are."""

    named = "flip"
    source = "Common practice: a flip of the training images"
    on_generated = False

    def augment(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images, half of them flipped."""
        return random_flip(images, rng)


class Crop(Augmentation):
    """Crop real images at random after padding with zeros, which is a shift; generated images stay as they are."""

    named = "crop"
    source = "He et al. 2016, arXiv:1512.03385, Sec. 4.2"
    on_generated = False

    padding: Annotated[int, Field(ge=1, le=4096)] = 4
    """Pixels of the padding, and so the largest shift of rows and of columns. Zero is the middle grey."""

    def augment(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images, each shifted by up to ``padding`` pixels."""
        return random_shift(images, (self.padding, self.padding), rng)


class Dequantise(Augmentation):
    """Make the pixels of real images continuous: an integer k of 0 to 255 becomes k/128 - 1 + u, with u ~ U[0, 1/128).

    The released code of SN-GAN does so for ImageNet. Without it k is 2 k/255 - 1.
    Generated images stay as they are.
    """

    named = "dequantise"
    source = "Code of Miyato et al. 2018, arXiv:1802.05957: pfnet-research/sngan_projection, datasets/imagenet.py"
    on_generated = False

    def augment(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images with a random number of its own in each pixel of each channel."""
        u = torch.rand(images.shape, generator=rng, device=images.device, dtype=images.dtype)
        # Rounded, because a pixel that went through [-1, 1] is an integer up to rounding only.
        return ((images + 1) * 127.5).round().add(u).div(128).sub(1)


class DiffAugment(Augmentation):
    """Change colour, shift and cut out real and generated images alike, differentiably, in both updates (DiffAugment).

    Colour: brightness within [-0.5, 0.5], saturation within [0, 2] and contrast within [0.5, 1.5]. Translation: by up
    to 1/8 of the sides, with zeros at the border. Cutout: a square of half the side is set to zero; it may reach over
    the border. One draw an image, in this order (Zhao et al. 2020).
    """

    named = "diffaugment"
    source = "Zhao et al. 2020, arXiv:2006.10738"

    color: bool = True
    """Whether brightness, saturation and contrast are changed."""
    translation: bool = True
    """Whether images are shifted."""
    cutout: bool = True
    """Whether a square is cut out."""

    @model_validator(mode="after")
    def _changes_images(self) -> Self:
        if not (self.color or self.translation or self.cutout):
            raise ValueError("it changes no image; allowed: color, translation or cutout")
        return self

    def augment(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the images after the chosen transforms."""
        if self.color:
            images = random_color(images, rng)
        if self.translation:
            h, w = images.shape[2:]
            images = random_shift(images, ((h + 4) // 8, (w + 4) // 8), rng)
        return random_cutout(images, rng) if self.cutout else images


AUGMENTATIONS = ExtensionPoint("augmentation", "augmentations", "lipschitz.tasks.augmentation", Augmentation)
