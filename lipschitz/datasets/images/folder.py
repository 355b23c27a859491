"""A folder of image files."""

import logging
from pathlib import Path
from typing import Literal

import torch

from lipschitz.cache import cache_folder, json_cache
from lipschitz.config import Classes, Pixels
from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset, ImageData
from lipschitz.datasets.images.crop import CropResize, Resize
from lipschitz.datasets.images.decode import SUFFIXES, LazyImages, fingerprint_of, image_files, open_image
from lipschitz.datasets.images.split import Share, hold_out
from lipschitz.errors import InputError

_BROKEN = json_cache("the list of broken images")
_log = logging.getLogger(__name__)


class Folder(Dataset):
    """Images in a folder and its subfolders, cropped and resized; with ``num_classes`` each subfolder is a class."""

    source = "A folder of the user's"
    kind = "images"

    folder: str
    """The folder, below the data root unless absolute; PNG, JPEG and other images in it and its subfolders are read."""
    size: Pixels
    """Height and width in pixels; images are resized to it."""
    channels: Literal[1, 3] = 3
    """3 for RGB images, 1 for grey images; other images are not converted but raise an error."""
    resize: Resize = "bilinear"
    """PIL's filter; none if all images already have the size, and others shall raise an error."""
    crop: Pixels | None = None
    """Side in pixels of the middle square that is resized, by default the largest; not used if ``resize`` is none."""
    num_classes: Classes | None = None
    """Number of subfolders; each is a class, labelled in the order of their names. No labels by default."""
    held_out: Share = 0.25
    """Share of each class that is held out, evenly spaced by path; not used with ``held_out_folder``."""
    held_out_folder: str | None = None
    """A second folder: all of its images are held out, and none of ``folder``."""
    skip_broken: bool = False
    """Skip images that cannot be read or do not suit the other fields, with a warning, instead of raising an error."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, size, size)``."""
        return (self.channels, self.size, self.size)

    @property
    def classes(self) -> int | None:
        """``num_classes``."""
        return self.num_classes

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load the folder, or both folders.

        Raises:
            InputError: a folder has no images or another number of classes; an image is broken or does not suit the
                fields.
        """
        root = data_root or DEFAULT_DATA_ROOT
        train, names = self._images(root / self.folder)
        if self.held_out_folder is None:
            train, held_out = hold_out(train, self.held_out, root / self.folder)
        else:
            held_out, others = self._images(root / self.held_out_folder)
            if names != others:
                raise InputError(
                    f"{root / self.held_out_folder}: expected the classes of {root / self.folder}: "
                    f"{', '.join(names)}; got {', '.join(others)}"
                )
        return ImageData.load(train, held_out, device, self.classes, names or None)

    def _images(self, folder: Path) -> tuple[LazyImages, list[str]]:
        """Return the images of ``folder`` and the names of its classes."""
        paths, labels, names = self._listed(folder)
        images = LazyImages(
            [str(path) for path in paths],
            lambda k: open_image(paths[k]),
            CropResize(self.size, self.channels, self.resize, self.crop),
            None if self.classes is None else torch.tensor(labels),
            fingerprint_of(paths),
        )
        return (_skip_broken(images, folder) if self.skip_broken else images), names

    def _listed(self, folder: Path) -> tuple[list[Path], list[int], list[str]]:
        """Return paths; with classes also the label of each and the names of the classes."""
        try:
            if self.classes is None:
                return _not_empty(image_files(folder), folder), [], []
            classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
            if len(classes) != self.classes:
                raise InputError(
                    f"{folder}: expected {self.classes} subfolders, one for each class (num_classes), "
                    f"got {len(classes)}"
                )
            files = [image_files(path) for path in classes]
            stray = [path for path in image_files(folder) if path.parent == folder]
        except OSError as error:
            where = f"{error.filename or folder}: {error.strerror}"
            raise InputError(f"cannot list {where} (the data root is set by --data-root)") from error
        if stray:
            raise InputError(
                f"{stray[0]} is in no class; with num_classes all images must be in subfolders of {folder}"
            )
        for path, found in zip(classes, files, strict=True):
            _not_empty(found, path)
        labels = [label for label, found in enumerate(files) for _ in found]
        return [path for found in files for path in found], labels, [path.name for path in classes]


def _not_empty(paths: list[Path], folder: Path) -> list[Path]:
    if not paths:
        raise InputError(f"{folder} has no images; expected files with the suffixes {', '.join(SUFFIXES)}")
    return paths


def _skip_broken(images: LazyImages, folder: Path) -> LazyImages:
    """Return the images that can be used; warn of the others."""
    broken = _BROKEN.get(cache_folder("datasets", "broken"), images.cache_key(), images.broken)
    if not broken:
        return images
    first = images.names[broken[0]]
    if len(broken) == images.size:
        raise InputError(f"{folder}: none of the {images.size} images can be used; first: {first}")
    mask = torch.ones(images.size, dtype=torch.bool)
    mask[broken] = False
    _log.warning("%s: skipped %d of %d images that cannot be used; first: %s", folder, len(broken), len(mask), first)
    return images.where(mask)
