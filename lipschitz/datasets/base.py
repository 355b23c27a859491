"""What every data set is: a record whose shape is known beforehand, and which loads onto a device."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from lipschitz.config import Config
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.datasets.points.point_data import PointData
from lipschitz.datasets.transport.pair_data import PairData

DEFAULT_DATA_ROOT = Path("data")
"""Where files are looked for unless the user says where they are."""

__all__ = ["DEFAULT_DATA_ROOT", "Data", "Dataset", "ImageData", "PairData", "PointData"]


class Data(Protocol):
    """A loaded data set, held on one device or streamed to it: float32 samples ``(n, *shape)``, images in [-1, 1].

    Everything is drawn from the generator that is passed in, which lives on the device and moves on with each draw:
    two draws are independent when they come from one generator in turn, or from two streams.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: ``(2,)`` or ``(c, h, w)``."""

    @property
    def hash(self) -> str:
        """SHA-256, in hex, of the content: of every image and label, or of the numbers that define a distribution."""

    @property
    def reference_size(self) -> int | None:
        """How many held-out samples there are; None for a distribution, which never runs out."""

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``n`` training samples, with replacement: a function of data and ``rng`` alone.

        Fit for a CUDA graph, unless images are streamed.
        """

    def reference(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``n`` held-out real samples to judge against, images without replacement.

        Raises:
            ValueError: ``n`` is above `reference_size`.
        """

    def floor(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``n`` real samples that `reference` never holds: a generator cannot expect to come closer than these.

        Raises:
            ValueError: ``n`` is above the number of training images.
        """


class Dataset(Config):
    """A data set that a sweep can name. A subclass is one file in this package, named after the data set."""

    source: ClassVar[str]
    """Paper, arXiv number or publisher."""
    kind: ClassVar[Literal["points", "images", "pairs"]]
    """What it loads: `PointData`, `ImageData`, or `PairData` for the task transport."""
    has_modes: ClassVar[bool] = False
    """Whether it is a mixture, of whose modes a generator may cover more or fewer."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample, ``(2,)`` or ``(c, h, w)``: a sweep is checked before anything loads."""

    @property
    def classes(self) -> int | None:
        """Number of classes that images are labelled with, known before loading too; None without labels."""
        return None

    @abstractmethod
    def load(self, data_root: Path | None, device: torch.device) -> Data | PairData:
        """Load onto ``device``, from files below ``data_root`` where the data set is made of files.

        Raises:
            InputError: the files are missing, unreadable or not those that were published.
        """
