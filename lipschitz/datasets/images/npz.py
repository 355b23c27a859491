"""Images in an .npz file."""

import zipfile
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import PositiveInt

from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset, ImageData
from lipschitz.datasets.images.holdout import Share, held_out_mask
from lipschitz.datasets.images.image_data import Split, check_labels
from lipschitz.errors import InputError


class Npz(Dataset):
    """Images of any .npz file: ``images`` uint8 (n, h, w[, c]), and ``labels`` where classes are asked for."""

    source = "A file of the user's"
    kind = "images"

    file: str
    """The .npz file, below the data root unless absolute."""
    size: PositiveInt = 32
    """Height and width of the images in pixels; images of another size are refused."""
    channels: Literal[1, 3] = 3
    """1 for grey images, (n, h, w) or (n, h, w, 1); 3 for RGB ones, (n, h, w, 3)."""
    num_classes: PositiveInt | None = None
    """Number of classes, of which ``labels`` (n,) has integers from 0; labels are left aside where it is not given."""
    held_out: Share = 0.25
    """Share of each class that is held out, evenly spaced in the file; of no effect with ``held_out_file``."""
    held_out_file: str | None = None
    """Another such file, all of which is held out, and none of ``file``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, size, size)``."""
        return (self.channels, self.size, self.size)

    @property
    def classes(self) -> int | None:
        """``num_classes``."""
        return self.num_classes

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load the file or both.

        Raises:
            InputError: one cannot be read, or its arrays are not as the record says.
        """
        root = data_root or DEFAULT_DATA_ROOT
        train = self._read(root / self.file)
        if self.held_out_file is not None:
            return ImageData.load(train, self._read(root / self.held_out_file), device, self.classes)
        mask = held_out_mask(train.size, train.labels, self.held_out)
        if mask.all() or not mask.any():
            raise InputError(
                f"{root / self.file}: {train.size} images are too few to hold out a share of {self.held_out:g} of them"
            )
        return ImageData.load(train.where(~mask), train.where(mask), device, self.classes)

    def _read(self, path: Path) -> Split:
        arrays = _arrays(path, ("images",) if self.classes is None else ("images", "labels"))
        images = arrays["images"]
        grey = ["(n, {0}, {0})"] if self.channels == 1 else []
        allowed = " or ".join([*grey, "(n, {0}, {0}, {1})"]).format(self.size, self.channels)
        if images.dtype != np.uint8:
            raise InputError(f"{path}: images are of dtype {images.dtype}; allowed: uint8")
        if images.ndim == 3 and self.channels == 1:
            images = images[..., None]
        if images.shape[1:] != (self.size, self.size, self.channels) or not len(images):
            raise InputError(
                f"{path}: images are of shape {arrays['images'].shape}; allowed: {allowed}, n above 0 "
                "(size and channels are fields of npz)"
            )
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        if self.classes is None:
            return Split(pixels)
        return Split(pixels, self._labels(arrays["labels"], len(images), path))

    def _labels(self, labels: np.ndarray, n: int, path: Path) -> torch.Tensor:
        if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
            raise InputError(
                f"{path}: labels are of dtype {labels.dtype} and shape {labels.shape}; allowed: integers, ({n},)"
            )
        found = torch.from_numpy(labels.astype(np.int64))
        check_labels(found, self.classes, str(path))
        return found


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the arrays called ``names`` of the .npz file ``path``."""
    try:
        # Anything else than an archive, such as a single array, has no members.
        with zipfile.ZipFile(path):
            pass
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                found = ", ".join(archive.files) or "nothing"
                raise InputError(f"{path} holds no {' and no '.join(missing)}; found: {found}")
            return {name: archive[name] for name in names}
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error} (the data root is set by --data-root)"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise InputError(f"{path} is no .npz file, or is truncated: {error}") from error
