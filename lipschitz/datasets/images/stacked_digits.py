"""Stacked digits: each channel of an image is a digit of its own, so that there are 10, 100 or 1,000 classes."""

from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from lipschitz.config import Samples
from lipschitz.datasets.base import Dataset, ImageData
from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.images.image_data import Placed
from lipschitz.datasets.images.mnist import MNIST
from lipschitz.datasets.images.split import Split
from lipschitz.random_streams import stream

DIGITS = 10


class StackedDigits(Dataset):
    """Images whose channels are digits, drawn independently: with three channels 1,000 classes of equal probability.

    The class of an image is the number that its channels spell, the first channel as the ones. Training images are
    stacked from training images alone, held-out ones from held-out ones. The draw is always the same.
    """

    named = "stacked_digits"
    source = "Metz et al. 2017, arXiv:1611.02163, section 3.3.1; Srivastava et al. 2017, arXiv:1705.07761"
    kind = "images"
    has_modes = True

    of: Literal["digits", "mnist"] = "digits"
    """The digits that are stacked: 8x8 digits of scikit-learn, which need no download, or MNIST at 32x32."""
    depth: Annotated[int, Field(ge=1, le=3)] = 3
    """Number of channels."""
    images: Samples = 20_000
    """Number of training images."""
    held_out: Samples = 5_000
    """Number of held-out images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(depth, 8, 8)``, or ``(depth, 32, 32)``."""
        return (self.depth, *self._base().shape[1:])

    @property
    def classes(self) -> int:
        """Ten to the power of the depth."""
        return int(DIGITS**self.depth)

    @property
    def training_images(self) -> int:
        """The field ``images``."""
        return self.images

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load the digits below ``data_root`` and stack them.

        Raises:
            InputError: files of MNIST are missing or damaged.
        """
        base = self._base().load(data_root, torch.device("cpu"))
        assert isinstance(base, ImageData)
        train = self._stacked(base.train, self.images, "train")
        held_out = self._stacked(base.held_out, self.held_out, "held_out")
        return ImageData.load(train, held_out, device, self.classes).of_channels(base)

    def _base(self) -> Dataset:
        return MNIST() if self.of == "mnist" else Digits()

    def _stacked(self, split: Placed, n: int, name: str) -> Split:
        assert split.labels is not None
        rng = stream(0, f"stacked_digits/{name}")
        rows = torch.randint(split.size, (self.depth, n), generator=rng)
        channels: list[Tensor] = [split.take(row) for row in rows]
        powers = DIGITS ** torch.arange(self.depth)
        return Split(torch.cat(channels, dim=1), (split.labels[rows] * powers[:, None]).sum(dim=0))
