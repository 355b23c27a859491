"""LSUN, one of its scenes."""

import warnings
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from pydantic import PositiveInt

from lipschitz.datasets.base import DEFAULT_DATA_ROOT, ImageData
from lipschitz.datasets.images.crop import Framing, Resize
from lipschitz.datasets.images.decode import Pictures
from lipschitz.datasets.images.holdout import Share, held_out_mask
from lipschitz.datasets.images.picture_files import fingerprint_of
from lipschitz.datasets.images.published import Archive, Published, readable
from lipschitz.errors import InputError

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


class LSUN(Published):
    """Photographs of one scene, by default 3,033,042 bedrooms, cut square and resized to 64x64 RGB."""

    source = "Yu et al. 2015, arXiv:1506.03365; bedrooms of 64x64 as in Radford et al., arXiv:1511.06434"
    instructions = (
        "no checksums are published by which a script could tell that all came through: fetch the training part of the "
        "scene (bedroom: 43 GB) with download.py of https://github.com/fyu/lsun, and unzip it in the data root"
    )

    scene: Scene = "bedroom"
    """Which of the ten."""
    size: PositiveInt = 64
    """Height and width in pixels, to which the largest square in the middle is resized."""
    resize: Resize = "bilinear"
    """PIL's filter."""
    held_out: Share = 0.01
    """Share of the training part that is held out, evenly spaced: the validation part has but 300 images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(3, size, size)``."""
        return (3, self.size, self.size)

    def files(self) -> Mapping[str, str | None]:
        """Return the database of the scene's training part."""
        return {f"{self.scene}_train_lmdb/data.mdb": None}

    def archives(self) -> tuple[Archive, ...]:
        """Return nothing: no checksum is known."""
        return ()

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load torchvision's database below ``data_root``, by default ``data``.

        Raises:
            InputError: it is missing or unreadable, or the package lmdb is.
        """
        root = data_root or DEFAULT_DATA_ROOT
        self.check_presence(root)
        dataset = self._database(root)
        (database,) = self.files()
        pictures = Pictures(
            [f"image {k} of {root / database}" for k in range(len(dataset))],
            lambda k: dataset[k][0],
            Framing(self.size, 3, self.resize),
            fingerprint=fingerprint_of([root / database]),
        )
        mask = held_out_mask(pictures.size, None, self.held_out)
        if mask.all() or not mask.any():
            raise InputError(f"{root / database}: {pictures.size} images are too few to hold out {self.held_out:g}")
        return ImageData.load(pictures.where(~mask), pictures.where(mask), device)

    def _database(self, root: Path) -> Any:
        try:
            import lmdb  # noqa: F401
        except ImportError:
            raise InputError("data set lsun is read by the package lmdb: pip install lmdb") from None
        where = str(root.resolve())
        # torchvision keeps the keys in a file of the working folder, named after the letters of the path alone.
        with TemporaryDirectory() as scratch, chdir(scratch), readable(self.name(), root), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            return self.torchvision()(where, classes=[f"{self.scene}_train"])
