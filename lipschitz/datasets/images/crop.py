"""Crop and resize: the middle square of an image, resized to ``(c, size, size)``."""

from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

Resize = Literal["none", "box", "bilinear", "hamming", "bicubic", "lanczos"]
"""A filter of PIL, which averages over all source pixels when it shrinks an image; none: images must have the size."""
CONVERTED = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")
"""PIL's modes of at most 8 bits a channel."""


class CropResize(NamedTuple):
    """Crop the square in the middle of an image, then resize it."""

    size: int
    """Height and width of the result in pixels."""
    channels: Literal[1, 3]
    """1 for grey images (mode L of PIL), 3 for RGB images. Other modes are not converted but raise an error."""
    resize: Resize
    crop: int | None = None
    """Side of the cropped square in pixels; None for the largest. Not used if ``resize`` is none."""

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Return uint8 ``(c, size, size)``.

        Raises:
            ValueError: the image has another mode, is smaller than the crop, or has another size while ``resize`` is
                none.
            OSError, SyntaxError, ...: PIL cannot decode the image.
        """
        mode = "L" if self.channels == 1 else "RGB"
        if image.mode != mode:
            hint = "; the data set `folder` converts it with convert: true" if image.mode in CONVERTED else ""
            raise ValueError(f"expected mode {mode}, got {image.mode}{hint}")
        width, height = image.size
        if self.resize == "none":
            if (width, height) != (self.size, self.size):
                raise ValueError(f"expected {self.size}x{self.size} pixels (resize is none), got {width}x{height}")
        else:
            image = self._resized(image)
        array = np.asarray(image)
        return array[None] if self.channels == 1 else array.transpose(2, 0, 1)

    def cache_key(self) -> str:
        """Return the text by which names of cached files depend on this record."""
        # The name of an earlier version: another one would make existing caches invalid.
        return "Framing" + repr(self).removeprefix(type(self).__name__)

    def _resized(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        side = self.crop or min(width, height)
        if side > min(width, height):
            raise ValueError(f"expected at least {side}x{side} pixels, got {width}x{height}")
        left, top = (width - side) // 2, (height - side) // 2
        return image.resize(
            (self.size, self.size), Image.Resampling[self.resize.upper()], (left, top, left + side, top + side)
        )
