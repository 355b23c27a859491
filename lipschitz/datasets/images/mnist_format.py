"""What data sets in MNIST's format share: read by torchvision's classes, unpacked or as published."""

import gzip
import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch.nn.functional import pad

from lipschitz.cache import cache_folder
from lipschitz.datasets.base import DEFAULT_DATA_ROOT, ImageData
from lipschitz.datasets.files.checksums import check_md5, md5_of
from lipschitz.datasets.images.image_data import Split
from lipschitz.datasets.images.published import Archive, Published, readable
from lipschitz.errors import InputError
from lipschitz.files import write_atomically

PUBLISHED_SIZE = 28


class MnistFormat(Published):
    """70,000 images in ten classes, 28x28 grey, padded; the test split is held out."""

    size: Annotated[int, Field(ge=PUBLISHED_SIZE)] = 32
    """Height and width in pixels, to which the published 28 are padded with black; models may want a multiple of 8."""

    @classmethod
    @abstractmethod
    def unpacked_md5(cls) -> Mapping[str, str]:
        """Return the MD5 of each unpacked file; torchvision knows those of the files as published."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1, size, size)``."""
        return (1, self.size, self.size)

    @property
    def classes(self) -> int:
        """Ten."""
        return 10

    def class_names(self) -> Sequence[str] | None:
        """Return what people call the classes; None where they are digits, and each its own label."""
        return None

    def files(self) -> Mapping[str, str | None]:
        """Return the four files as torchvision unpacks them."""
        return {f"{type(self).__name__}/raw/{file}": md5 for file, md5 in self.unpacked_md5().items()}

    def archives(self) -> tuple[Archive, ...]:
        """Return the four files as published (``.gz``), as which they can be read."""
        theirs = self.torchvision()
        return tuple(
            Archive(
                f"{type(self).__name__}/raw/{file}", md5, tuple(f"{mirror}{file}" for mirror in theirs.mirrors), False
            )
            for file, md5 in theirs.resources
        )

    def missing(self, data_root: Path) -> list[str]:
        """Return the files that are there neither unpacked nor packed; of a mix, what is not packed."""
        files = [data_root / file for file in self.files()]
        if all(file.is_file() for file in files):
            return []
        packed = [file.with_name(f"{file.name}.gz") for file in files]
        neither = [file for file, gz in zip(files, packed, strict=True) if not file.is_file() and not gz.is_file()]
        return [str(file.relative_to(data_root)) for file in neither or packed if not file.is_file()]

    def verified(self, data_root: Path | None) -> Path:
        """Return the root from which torchvision can read the files, each of them checked.

        Those that are packed are unpacked into the cache folder.

        Raises:
            InputError: files are missing, unreadable, truncated or corrupt; the cache folder cannot be written.
        """
        root = data_root or DEFAULT_DATA_ROOT
        self.check_presence(root)
        if all((root / file).is_file() for file in self.files()):
            return super().verified(root)
        cache = cache_folder("datasets")
        for archive in self.archives():
            target = cache / archive.path.removesuffix(".gz")
            _unpack(root / archive.path, archive.md5, target, self.unpacked_md5()[target.name])
        return cache

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load ``<name>/raw`` below ``data_root``, by default ``data``: files unpacked, or as published (``.gz``).

        Raises:
            InputError: files are missing, unreadable, truncated or corrupt.
        """
        root = self.verified(data_root)
        with readable(self.name(), root):
            train, test = (_split(self.torchvision()(root, train=part), self.size) for part in (True, False))
        return ImageData.load(train, test, device, self.classes, self.class_names())


def _split(dataset: Any, size: int) -> Split:
    before = (size - PUBLISHED_SIZE) // 2
    after = size - PUBLISHED_SIZE - before
    return Split(pad(dataset.data, [before, after, before, after]).unsqueeze(1), dataset.targets.long())


def _unpack(path: Path, md5: str, target: Path, target_md5: str) -> None:
    """Unpack ``path`` to ``target`` unless it is there. Two processes may do so at once: each renames a whole file."""
    check_md5(path, md5)
    if target.is_file() and md5_of(target) == target_md5:
        return
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot unpack {path}: {error}") from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, lambda file: file.write(content))
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; set XDG_CACHE_HOME to another folder") from error
