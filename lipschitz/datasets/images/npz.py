"""An .npz file of images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from lipschitz.config import Classes, Pixels
from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset, ImageData
from lipschitz.datasets.images.npz_arrays import Header, read_arrays, short
from lipschitz.datasets.images.split import Share, Split, check_labels, hold_out
from lipschitz.errors import InputError


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
        names = ("images",) if self.classes is None else ("images", "labels")
        arrays = read_arrays(path, names, lambda headers: self._check(headers, path))
        images = torch.from_numpy(arrays["images"].reshape(-1, self.size, self.size, self.channels))
        pixels = images.permute(0, 3, 1, 2).contiguous()
        if self.classes is None:
            return Split(pixels)
        labels = torch.from_numpy(arrays["labels"].astype(np.int64))
        check_labels(labels, self.classes, str(path))
        return Split(pixels, labels)

    def _check(self, headers: Mapping[str, Header], path: Path) -> None:
        """Refuse arrays that do not suit the fields, before they are read."""
        shape, dtype = headers["images"]
        if dtype != np.uint8:
            raise InputError(f"{path}: expected images of dtype uint8, got {short(dtype)}")
        one = (self.size, self.size)
        allowed = [one, (*one, 1)] if self.channels == 1 else [(*one, self.channels)]
        if not shape or shape[1:] not in allowed or not shape[0]:
            texts = " or ".join(f"(n, {', '.join(map(str, each))})" for each in allowed)
            raise InputError(
                f"{path}: expected images of shape {texts}, n at least 1, got {short(shape)} "
                "(size and channels are fields of npz)"
            )
        if self.classes is None:
            return
        labels = headers["labels"]
        if labels.shape != shape[:1] or labels.dtype.kind not in "iu":
            raise InputError(
                f"{path}: expected labels of integer dtype and shape ({shape[0]},), got {short(labels.dtype)} and "
                f"{short(labels.shape)}"
            )
