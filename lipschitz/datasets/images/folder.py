"""A folder of image files."""

from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from lipschitz.cache import cache_folder, json_cache
from lipschitz.config import Classes, Pixels
from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset, ImageData
from lipschitz.datasets.images.crop import CropResize, Resize
from lipschitz.datasets.images.decode import LazyImages, fingerprint_of, open_image
from lipschitz.datasets.images.listing import SUFFIXES, Listing, left_out, list_images
from lipschitz.datasets.images.split import Share, hold_out
from lipschitz.errors import InputError, MissingInput, printable

_BROKEN = json_cache("the list of broken images")


class _Listed(NamedTuple):
    """The images of a folder."""

    paths: list[Path]
    labels: list[int]
    """Class of each image; empty without classes."""
    names: list[str]
    """Names of the classes."""
    warnings: tuple[str, ...]


class Folder(Dataset):
    """Images in a folder and its subfolders, cropped and resized; with ``num_classes`` each subfolder is a class."""

    source = "A folder of the user's"
    kind = "images"

    folder: str
    """The folder, below the data root unless absolute; PNG, JPEG and other images in it and its subfolders are read,
    each file once whatever links lead to it."""
    size: Pixels
    """Height and width in pixels; images are resized to it."""
    channels: Literal[1, 3] = 3
    """3 for RGB images, 1 for grey images; other images raise an error, unless ``convert`` is true."""
    convert: bool = False
    """Convert grey, palette, RGBA and CMYK images by PIL's ``Image.convert``, which drops transparency; images of more
    than 8 bits raise an error."""
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
        train, listed = self._images(root / self.folder)
        warnings = listed.warnings
        if self.held_out_folder is None:
            train, held_out = hold_out(train, self.held_out, root / self.folder)
        else:
            held_out, others = self._images(root / self.held_out_folder)
            warnings += others.warnings
            if listed.names != others.names:
                raise InputError(
                    f"{root / self.held_out_folder}: expected the classes of {root / self.folder}: "
                    f"{', '.join(listed.names)}; got {', '.join(others.names)}"
                )
        return ImageData.load(train, held_out, device, self.classes, listed.names or None, warnings)

    def _images(self, folder: Path) -> tuple[LazyImages, _Listed]:
        """Return the images of ``folder``, and what was found there."""
        try:
            listed = _list_classes(folder, self.classes) if self.classes else _listed(folder)
        except OSError as error:
            where = f"{printable(str(error.filename or folder))}: {error.strerror}"
            kind = MissingInput if isinstance(error, FileNotFoundError) else InputError
            raise kind(f"cannot list {where} (the data root is set by --data-root)") from error
        except ValueError as error:
            # A name with a null character.
            raise InputError(f"cannot list {printable(str(folder))}: {error}") from error
        mode = ("L" if self.channels == 1 else "RGB") if self.convert else None
        images = LazyImages(
            [str(path) for path in listed.paths],
            lambda k: open_image(listed.paths[k], mode),
            CropResize(self.size, self.channels, self.resize, self.crop),
            None if self.classes is None else torch.tensor(listed.labels),
            fingerprint_of(listed.paths) + (f" as {mode}" if mode else ""),
        )
        if not self.skip_broken:
            return images, listed
        kept, warnings = _skip_broken(images, folder)
        return kept, listed._replace(warnings=listed.warnings + warnings)


def _listed(folder: Path) -> _Listed:
    listing = _not_empty(list_images(folder), folder)
    return _Listed(listing.paths, [], [], tuple(left_out(folder, [listing])))


def _list_classes(folder: Path, classes: int) -> _Listed:
    """List a folder in which each subfolder is a class; no picture may be in two of them."""
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    subfolders, files = ([path for path in visible if path.is_dir() is kind] for kind in (True, False))
    if len(subfolders) != classes:
        raise InputError(
            f"{folder}: expected {classes} subfolders, one for each class (num_classes), got {len(subfolders)}"
        )
    if stray := [path for path in files if path.suffix.lower() in SUFFIXES]:
        raise InputError(
            f"{printable(str(stray[0]))} is in no class; with num_classes all images must be in subfolders of {folder}"
        )
    listings = [_not_empty(list_images(path), path) for path in subfolders]
    first: dict[str, Path] = {}
    for path, real in ((path, real) for each in listings for path, real in zip(each.paths, each.real, strict=True)):
        if (other := first.setdefault(real, path)) is not path:
            raise InputError(f"{printable(str(other))} and {printable(str(path))} are one file, in two classes")
    beside = Listing([], [], Counter(path.suffix.lower() for path in files), 0)
    return _Listed(
        [path for each in listings for path in each.paths],
        [label for label, each in enumerate(listings) for _ in each.paths],
        [printable(path.name) for path in subfolders],
        tuple(left_out(folder, [*listings, beside])),
    )


def _not_empty(listing: Listing, folder: Path) -> Listing:
    if not listing.paths:
        raise InputError(
            f"{printable(str(folder))} has no images; expected files with the suffixes {', '.join(SUFFIXES)}"
        )
    return listing


def _skip_broken(images: LazyImages, folder: Path) -> tuple[LazyImages, tuple[str, ...]]:
    """Return the images that can be used, and a warning of the others."""
    broken = _BROKEN.get(cache_folder("datasets", "broken"), images.cache_key(), images.broken)
    if not broken:
        return images, ()
    first = printable(images.names[broken[0]])
    if len(broken) == images.size:
        raise InputError(f"{folder}: none of the {images.size} images can be used; first: {first}")
    mask = torch.ones(images.size, dtype=torch.bool)
    mask[broken] = False
    line = f"{folder}: skipped {len(broken)} of {len(mask)} images that cannot be used; first: {first}"
    return images.where(mask), (line,)
