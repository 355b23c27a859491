"""LSUN: photographs of one scene."""

import warnings
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from lipschitz.config import Pixels
from lipschitz.datasets.images.crop import CropResize, Resize
from lipschitz.datasets.images.decode import LazyImages, fingerprint_of
from lipschitz.datasets.images.published import Archive, PublishedDataset, TrainTest
from lipschitz.datasets.images.split import Share, hold_out
from lipschitz.errors import MissingInput

Scene = Literal[
    "bedroom",
    "bridge",
    "church_outdoor",
    "classroom",
    "conference_room",
    "dining_room",
    "kitchen",
    "living_room",
    "restaurant",
    "tower",
]


class LSUN(PublishedDataset):
    """Photographs of one scene, by default 3,033,042 bedrooms, the middle square resized to 64x64 RGB."""

    source = "Yu et al. 2015, arXiv:1506.03365; bedrooms of 64x64 as in Radford et al., arXiv:1511.06434"
    instructions = (
        "no checksums are published, so a script could not check a download: download the training part of the scene "
        "(bedroom: 43 GB) with download.py of https://github.com/fyu/lsun, and unzip it in the data root"
    )

    scene: Scene = "bedroom"
    """One of the ten scenes."""
    size: Pixels = 64
    """Height and width in pixels; the largest middle square is resized to it."""
    resize: Resize = "bilinear"
    """PIL's filter."""
    held_out: Share = 0.01
    """Share of the training part that is held out, evenly spaced: the validation part has only 300 images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, size, size)``."""
        return (3, self.size, self.size)

    def files(self) -> Mapping[str, str | None]:
        """Return the database of the scene's training part."""
        return {f"{self.scene}_train_lmdb/data.mdb": None}

    def archives(self) -> tuple[Archive, ...]:
        """Return none: no checksums are published."""
        return ()

    def read(self, root: Path) -> TrainTest:
        """Read the keys of the database.

        Raises:
            InputError: the database is unreadable or has too few images, or the package lmdb is not installed.
        """
        dataset = self._database(root)
        (file,) = self.files()
        images = LazyImages(
            [f"image {k} of {root / file}" for k in range(len(dataset))],
            lambda k: dataset[k][0],
            CropResize(self.size, 3, self.resize),
            fingerprint=fingerprint_of([root / file]),
        )
        return TrainTest(*hold_out(images, self.held_out, root / file))

    def _database(self, root: Path) -> Any:
        try:
            import lmdb  # noqa: F401
        except ImportError:
            raise MissingInput("data set lsun needs the package lmdb: pip install lmdb") from None
        root = root.resolve()
        # torchvision writes the keys to a file in the working folder, named after the letters of the path alone.
        with TemporaryDirectory() as scratch, chdir(scratch), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            return self.open_torchvision(root, classes=[f"{self.scene}_train"])
