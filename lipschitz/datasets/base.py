"""Base classes of data sets: `Dataset`, which a sweep file names, and `Data`, the samples that it loads."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from lipschitz.config import Config
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.datasets.point_data import PointData
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.errors import InputError
from lipschitz.extensions.point import ExtensionPoint

DEFAULT_DATA_ROOT = Path("data")
"""Folder of the data files unless ``--data-root`` names another."""

__all__ = ["DEFAULT_DATA_ROOT", "Data", "Dataset", "ImageData", "PairData", "PointData"]


class Data(Protocol):
    """A loaded data set, on a device or streamed to it: float32 samples ``(n, *shape)``, images in [-1, 1].

    Every method draws from the generator that it is given, which is on the device: two draws are independent if they
    come from the same generator one after the other, or from two random streams.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: ``(2,)`` or ``(c, h, w)``."""

    @property
    def hash(self) -> str:
        """SHA-256, in hex, of every image and label, or of the numbers that define a distribution."""

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``n`` training samples with replacement; they depend on the data and ``rng`` alone.

        A CUDA graph can capture this, unless images are streamed.
        """

    def reference(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``n`` held-out real samples, with which generated ones are compared; images without replacement.

        Raises:
            ValueError: ``n`` is above the number of held-out images.
        """

    def floor(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``n`` real samples that are not held out.

        Their distance to `reference` is the floor: a generator cannot be expected to come closer.

        Raises:
            ValueError: ``n`` is above the number of training images.
        """


class Dataset(Config):
    """A data set in a sweep file. Each is one module in ``images``, ``points`` or ``transport``, with its name."""

    source: ClassVar[str]
    """Paper, arXiv number or publisher."""
    kind: ClassVar[Literal["points", "images", "pairs"]]
    """What `load` returns: `PointData`, `ImageData`, or `PairData` for the task transport."""
    has_modes: ClassVar[bool] = False
    """Whether it is a mixture, so that the modes that a generator covers can be counted."""
    has_log_ratio: ClassVar[bool] = False
    """Whether the densities of a pair are known, and so the discriminator that minimises the cross-entropy."""

    @classmethod
    def check_class(cls) -> None:
        """Check that a class from outside the package declares the kind of its samples.

        Raises:
            InputError: it does not, or the kind is unknown.
        """
        kinds = ("points", "images", "pairs")
        kind = getattr(cls, "kind", None)
        if kind not in kinds:
            raise InputError(f"{cls.__name__}: expected kind to be one of {', '.join(kinds)}, got {kind!r}")

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample, ``(2,)`` or ``(c, h, w)``, known without loading: a sweep is checked first."""

    @property
    def classes(self) -> int | None:
        """Number of classes of labelled images, known without loading; None without labels."""
        return None

    @property
    def training_images(self) -> int | None:
        """Number of images to train on, known without loading; None if it is not, or samples are drawn at will."""
        return None

    @abstractmethod
    def load(self, data_root: Path | None, device: torch.device) -> Data | PairData:
        """Load the data onto ``device``; a data set of files reads them below ``data_root``, by default ``data``.

        Raises:
            InputError: files are missing, unreadable, or differ from the published files.
        """


DATASETS = ExtensionPoint("dataset", "datasets", "lipschitz.datasets", Dataset)
