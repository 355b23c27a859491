"""An .npz file of images."""

import zipfile
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from lipschitz.config import Classes, Pixels
from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset, ImageData
from lipschitz.datasets.images.split import Share, Split, check_labels, hold_out
from lipschitz.errors import InputError, first_line


class Npz(Dataset):
    """Images in an .npz file: ``images`` uint8 (n, h, w[, c]) and, with ``num_classes``, integer ``labels`` (n,)."""

    source = "A file of the user's"
    kind = "images"

    file: str
    """The .npz file, below the data root unless absolute."""
    size: Pixels = 32
    """Height and width of the images in pixels; images of another size raise an error."""
    channels: Literal[1, 3] = 3
    """1 for grey images, (n, h, w) or (n, h, w, 1); 3 for RGB images, (n, h, w, 3)."""
    num_classes: Classes | None = None
    """Number of classes; ``labels`` (n,) has integers from 0. Without it labels are ignored."""
    held_out: Share = 0.25
    """Share of each class that is held out, evenly spaced in the file; not used with ``held_out_file``."""
    held_out_file: str | None = None
    """A second .npz file: all of its images are held out, and none of ``file``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, size, size)``."""
        return (self.channels, self.size, self.size)

    @property
    def classes(self) -> int | None:
        """``num_classes``."""
        return self.num_classes

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load the file, or both files.

        Raises:
            InputError: a file cannot be read, or its arrays do not suit the fields.
        """
        root = data_root or DEFAULT_DATA_ROOT
        train = self._read(root / self.file)
        if self.held_out_file is None:
            train, held_out = hold_out(train, self.held_out, root / self.file)
        else:
            held_out = self._read(root / self.held_out_file)
        return ImageData.load(train, held_out, device, self.classes)

    def _read(self, path: Path) -> Split:
        arrays = _arrays(path, ("images",) if self.classes is None else ("images", "labels"))
        images = arrays["images"]
        grey = ["(n, {0}, {0})"] if self.channels == 1 else []
        allowed = " or ".join([*grey, "(n, {0}, {0}, {1})"]).format(self.size, self.channels)
        if images.dtype != np.uint8:
            raise InputError(f"{path}: expected images of dtype uint8, got {images.dtype}")
        if images.ndim == 3 and self.channels == 1:
            images = images[..., None]
        if images.shape[1:] != (self.size, self.size, self.channels) or not len(images):
            raise InputError(
                f"{path}: expected images of shape {allowed}, n at least 1, got {arrays['images'].shape} "
                "(size and channels are fields of npz)"
            )
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        if self.classes is None:
            return Split(pixels)
        return Split(pixels, self._labels(arrays["labels"], len(images), path))

    def _labels(self, labels: np.ndarray, n: int, path: Path) -> torch.Tensor:
        if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
            raise InputError(
                f"{path}: expected labels of integer dtype and shape ({n},), got {labels.dtype} and {labels.shape}"
            )
        found = torch.from_numpy(labels.astype(np.int64))
        check_labels(found, self.classes, str(path))
        return found


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the arrays called ``names`` of the .npz file ``path``."""
    try:
        # np.load also accepts other files, such as a single array.
        with zipfile.ZipFile(path):
            pass
        with np.load(path, allow_pickle=False) as archive:
            if not set(names) <= set(archive.files):
                found = ", ".join(archive.files) or "none"
                raise InputError(f"{path}: expected the arrays {' and '.join(names)}, got {found}")
            return {name: archive[name] for name in names}
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error} (the data root is set by --data-root)"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise InputError(f"{path} is not an .npz file or is truncated: {first_line(error)}") from error
