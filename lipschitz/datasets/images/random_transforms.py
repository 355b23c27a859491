"""Random transforms of images on the device, differentiable: horizontal flip, shift, colour, cutout; one draw an image.

Every function takes images ``(n, c, h, w)`` in [-1, 1] and returns as many of the same shape, not clipped. It draws
from ``rng``, which is on the images' device, and never waits for the device, so a CUDA graph can capture it.
Torchvision's transforms draw one number for a whole batch, from torch's own generator.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad


def random_flip(images: Tensor, rng: torch.Generator) -> Tensor:
    """Flip each image from left to right with probability 1/2."""
    return torch.where(_uniform(images, rng) < 0.5, images.flip(-1), images)


def random_shift(images: Tensor, most: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Shift each image down and to the right by whole pixels, uniform in [-most, most]; zeros come in at the border.

    ``most`` are the largest shifts of rows and of columns.
    """
    n, c, h, w = images.shape
    rows, columns = (_places(size, largest, n, rng, images.device) for size, largest in zip((h, w), most, strict=True))
    images = pad(images, (most[1], most[1], most[0], most[0]))
    images = images.gather(2, rows.view(n, 1, h, 1).expand(n, c, h, images.shape[3]))
    return images.gather(3, columns.view(n, 1, 1, w).expand(n, c, h, w))


def random_color(images: Tensor, rng: torch.Generator) -> Tensor:
    """Change brightness, then saturation, then contrast of each image.

    Brightness adds b ~ U[-0.5, 0.5). Saturation multiplies the distances to a pixel's mean over channels by
    s ~ U[0, 2), and contrast those to the image's mean by k ~ U[0.5, 1.5).
    """
    images = images + (_uniform(images, rng) - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = torch.lerp(grey, images, 2 * _uniform(images, rng))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, 0.5 + _uniform(images, rng))


def random_cutout(images: Tensor, rng: torch.Generator) -> Tensor:
    """Set a rectangle of each image to zero, of half its height and half its width (rounded up).

    The centre is a uniform pixel, so the rectangle may reach over the border.
    """
    n, _, h, w = images.shape
    inside = [_near_a_random_place(size, n, rng, images.device) for size in (h, w)]
    return images.masked_fill(inside[0].view(n, 1, h, 1) & inside[1].view(n, 1, 1, w), 0)


def _uniform(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return one number in [0, 1) an image, ``(n, 1, 1, 1)``."""
    return torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device, dtype=images.dtype)


def _places(size: int, most: int, n: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Return where each of ``size`` places, shifted at random, is after padding by ``most``: int64 ``(n, size)``."""
    shifts = torch.randint(-most, most + 1, (n, 1), generator=rng, device=device)
    return torch.arange(most, most + size, device=device) - shifts


def _near_a_random_place(size: int, n: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Return which of ``size`` places are among the (size + 1) // 2 around a random one, bool ``(n, size)``."""
    length = (size + 1) // 2
    first = torch.randint(size, (n, 1), generator=rng, device=device) - length // 2
    places = torch.arange(size, device=device)
    return (places >= first) & (places < first + length)
