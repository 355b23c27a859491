"""How a picture of any size becomes pixels ``(c, size, size)``."""

from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

Resize = Literal["none", "box", "bilinear", "hamming", "bicubic", "lanczos"]
"""One of PIL's filters, which average over all pixels where they shrink; none: another size is refused."""


class Framing(NamedTuple):
    """Cut the square in the middle, then resize it."""

    size: int
    """Height and width of the result."""
    channels: Literal[1, 3]
    """1 for grey pictures, of PIL's mode L; 3 for RGB ones. Others are refused, not converted."""
    resize: Resize
    crop: int | None = None
    """Side in pixels of the square that is cut; None for the largest. Of no effect where nothing is resized."""

    def pixels(self, picture: Image.Image) -> np.ndarray:
        """Return uint8 ``(c, size, size)``.

        Raises:
            ValueError: the picture is of another mode, smaller than the crop, or of another size and none is allowed.
            OSError, SyntaxError, ...: what PIL raises of a picture that cannot be decoded.
        """
        mode = "L" if self.channels == 1 else "RGB"
        if picture.mode != mode:
            raise ValueError(f"its mode is {picture.mode}; allowed: {mode}")
        width, height = picture.size
        if self.resize == "none":
            if (width, height) != (self.size, self.size):
                raise ValueError(f"it has {width}x{height} pixels; allowed without a filter: {self.size}x{self.size}")
        else:
            picture = self._resized(picture)
        array = np.asarray(picture)
        return array[None] if self.channels == 1 else array.transpose(2, 0, 1)

    def _resized(self, picture: Image.Image) -> Image.Image:
        width, height = picture.size
        side = self.crop or min(width, height)
        if side > min(width, height):
            raise ValueError(f"it has {width}x{height} pixels; allowed: {side}x{side} and more")
        left, top = (width - side) // 2, (height - side) // 2
        return picture.resize(
            (self.size, self.size), Image.Resampling[self.resize.upper()], (left, top, left + side, top + side)
        )
