"""A folder of pictures."""

import logging
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt

from lipschitz.cache import cache_folder, json_cache
from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset, ImageData
from lipschitz.datasets.images.crop import Framing, Resize
from lipschitz.datasets.images.decode import Pictures
from lipschitz.datasets.images.holdout import Share, held_out_mask
from lipschitz.datasets.images.picture_files import SUFFIXES, fingerprint_of, open_picture, picture_files
from lipschitz.errors import InputError

_log = logging.getLogger(__name__)
_BROKEN = json_cache("the list of broken images")


class Folder(Dataset):
    """Images of any folder, in subfolders or not, cut square and resized; a folder a class where classes are asked."""

    source: ClassVar[str] = "A folder of the user's"
    kind: ClassVar[Literal["points", "images", "pairs"]] = "images"

    folder: str
    """The folder, below the data root unless absolute; PNG, JPEG and the like in it and below it are read."""
    size: PositiveInt
    """Height and width in pixels, to which images are resized."""
    channels: Literal[1, 3] = 3
    """3 for RGB images, 1 for grey ones; others are refused, not converted."""
    resize: Resize = "bilinear"
    """PIL's filter; none where all images have the size already, so that others are refused."""
    crop: PositiveInt | None = None
    """Side in pixels of the middle square that is resized, the largest by default; without a filter of no effect."""
    num_classes: PositiveInt | None = None
    """Number of the folder's subfolders, each a class, labelled in the order of their names; no labels by default."""
    held_out: Share = 0.25
    """Share of each class that is held out, evenly spaced by path; of no effect with ``held_out_folder``."""
    held_out_folder: str | None = None
    """Another such folder, all of which is held out, and none of ``folder``."""
    skip_broken: bool = False
    """Whether images that cannot be read, or are not as the other fields say, are passed over and not refused."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, size, size)``."""
        return (self.channels, self.size, self.size)

    @property
    def classes(self) -> int | None:
        """``num_classes``."""
        return self.num_classes

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load the folder or both.

        Raises:
            InputError: a folder has no images, or not as many classes; an image is broken, or not as the fields say.
        """
        root = data_root or DEFAULT_DATA_ROOT
        train, names = self._pictures(root / self.folder)
        if self.held_out_folder is not None:
            held_out, others = self._pictures(root / self.held_out_folder)
            if names != others:
                raise InputError(
                    f"{root / self.held_out_folder} has the classes {', '.join(others)}; "
                    f"allowed: those of {root / self.folder}: {', '.join(names)}"
                )
            return ImageData.load(train, held_out, device, self.classes, names or None)
        mask = held_out_mask(train.size, train.labels, self.held_out)
        if mask.all() or not mask.any():
            raise InputError(f"{root / self.folder}: {train.size} images are too few to hold out {self.held_out:g}")
        return ImageData.load(train.where(~mask), train.where(mask), device, self.classes, names or None)

    def _pictures(self, folder: Path) -> tuple[Pictures, list[str]]:
        """Return the folder's pictures and the names of its classes."""
        paths, labels, names = self._listed(folder)
        if not paths:
            raise InputError(f"{folder} has no images; allowed: {', '.join(SUFFIXES)}")
        pictures = Pictures(
            [str(path) for path in paths],
            lambda k: open_picture(paths[k]),
            Framing(self.size, self.channels, self.resize, self.crop),
            None if self.classes is None else torch.tensor(labels),
            fingerprint_of(paths),
        )
        return (_sound(pictures, folder) if self.skip_broken else pictures), names

    def _listed(self, folder: Path) -> tuple[list[Path], list[int], list[str]]:
        """Return paths, and where classes are asked for the label of each and the classes' names."""
        try:
            if self.classes is None:
                return picture_files(folder), [], []
            classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
            if len(classes) != self.classes:
                raise InputError(f"{folder} has {len(classes)} folders; num_classes is {self.classes}: one for each")
            files = [picture_files(path) for path in classes]
            stray = [path for path in picture_files(folder) if path.parent == folder]
        except OSError as error:
            where = f"{error.filename or folder}: {error.strerror}"
            raise InputError(f"cannot list {where} (the data root is set by --data-root)") from error
        if stray:
            raise InputError(f"{stray[0]} lies in no folder of a class; allowed with num_classes: in one of them")
        for path, found in zip(classes, files, strict=True):
            if not found:
                raise InputError(f"{path} has no images; allowed: {', '.join(SUFFIXES)}")
        labels = [label for label, found in enumerate(files) for _ in found]
        return [path for found in files for path in found], labels, [path.name for path in classes]


def _sound(pictures: Pictures, folder: Path) -> Pictures:
    """Return the pictures that can be used; warn of the others."""
    broken = _BROKEN.get(cache_folder("datasets", "broken"), pictures.identity(), pictures.broken)
    if not broken:
        return pictures
    if len(broken) == pictures.size:
        raise InputError(f"{folder}: none of {pictures.size} images can be used, {pictures.names[broken[0]]} the first")
    mask = torch.ones(pictures.size, dtype=torch.bool)
    mask[broken] = False
    first = pictures.names[broken[0]]
    _log.warning(
        "%s: %d of %d images cannot be used, and are skipped, %s the first", folder, len(broken), len(mask), first
    )
    return pictures.where(mask)
