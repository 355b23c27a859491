"""Read the images of any folder or .npz file as they are, to compare two of them: no labels, no split."""

import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from lipschitz.datasets.images.crop import CropResize
from lipschitz.datasets.images.decode import LazyImages, fingerprint_of, open_image
from lipschitz.datasets.images.listing import SUFFIXES, left_out, list_images
from lipschitz.datasets.images.npz_arrays import Header, read_arrays, short
from lipschitz.datasets.images.placement import Source
from lipschitz.datasets.images.split import Split
from lipschitz.errors import InputError, first_line, printable

NAMES = ("images", "arr_0")
"""Names of the array of images: that of the data set ``npz``, and the one that ``numpy.savez(file, images)`` gives."""


def unlabelled_images(path: Path, size: int | None = None) -> tuple[Source, list[str]]:
    """Return all images at ``path``, uint8 ``(c, h, w)``, and warnings of what is left out.

    Args:
        path: a folder, whose subfolders are read, too; or an .npz file with ``images`` uint8 ``(n, h, w[, c])``.
        size: pictures are cropped to the middle square and resized to this many pixels, bilinearly; None where all have
            one size already. The first picture of a folder decides between grey (mode L) and RGB.

    Raises:
        InputError: there is nothing to read, or a picture does not have the size.
    """
    check_path(path)
    return _of_folder(path, size) if path.is_dir() else (_of_file(path, size), [])


def check_path(path: Path) -> None:
    """Raise InputError unless ``path`` is a folder or an .npz file."""
    if not path.is_dir() and not (path.suffix == ".npz" and path.exists()):
        what = "is not there" if not path.exists() else "is neither a folder nor an .npz file"
        raise InputError(f"{path} {what}; allowed: a folder of images, or an .npz file with images (n, h, w, c)")


def _of_folder(folder: Path, size: int | None) -> tuple[LazyImages, list[str]]:
    try:
        listing = list_images(folder)
    except OSError as error:
        raise InputError(f"cannot list {error.filename or folder}: {error.strerror}") from None
    if not listing.paths:
        raise InputError(f"{folder} has no images; expected files with the suffixes {', '.join(SUFFIXES)}")
    first = listing.paths[0]
    try:
        with open_image(first) as image:
            (width, height), mode = image.size, image.mode
    except Exception as error:  # The type of the exception depends on the format and on where the file is damaged.
        raise InputError(f"{printable(str(first))} cannot be used as an image: {first_line(error)}") from None
    if size is None and width != height:
        raise InputError(
            f"{printable(str(first))} is not square, {width}x{height}; allowed: --size {min(width, height)}"
        )
    transform = CropResize(size or width, 1 if mode == "L" else 3, "none" if size is None else "bilinear")
    images = LazyImages(
        [str(path) for path in listing.paths],
        lambda k: open_image(listing.paths[k]),
        transform,
        fingerprint=fingerprint_of(listing.paths),
    )
    return images, list(left_out(folder, [listing]))


def _of_file(path: Path, size: int | None) -> Split:
    name = _array_name(path)
    arrays = read_arrays(path, (name,), lambda headers: _check(headers, name, path, size))
    images = torch.from_numpy(arrays[name])
    return Split((images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2)).contiguous())


def _array_name(path: Path) -> str:
    with suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        found = {name.removesuffix(".npy") for name in archive.namelist()}
        return next((name for name in NAMES if name in found), NAMES[0])
    return NAMES[0]


def _check(headers: Mapping[str, Header], name: str, path: Path, size: int | None) -> None:
    """Refuse an array that holds no images, before it is read."""
    shape, dtype = headers[name]
    if dtype != np.uint8 or len(shape) not in (3, 4) or shape[3:] not in ((), (1,), (3,)) or not shape[0]:
        raise InputError(
            f"{path}: expected {name} uint8 of shape (n, h, w) or (n, h, w, c), c 1 or 3, got {short(dtype)} of shape "
            f"{short(shape)}"
        )
    if size is not None and shape[1:3] != (size, size):
        raise InputError(
            f"{path}: images of {shape[2]}x{shape[1]} pixels, not {size}x{size}; only pictures are resized"
        )
