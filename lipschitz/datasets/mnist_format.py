"""What data sets in MNIST's format share: read by torchvision's classes from a user's folder, never downloaded."""

import gzip
import hashlib
import zlib
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch.nn.functional import pad

from lipschitz.cache import cache_folder
from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset, ImageData
from lipschitz.datasets.images import Split
from lipschitz.datasets.torchvision_import import import_torchvision
from lipschitz.errors import InputError
from lipschitz.files import write_atomically

PUBLISHED_SIZE = 28


class MnistFormat(Dataset):
    """70,000 images in ten classes, 28x28 grey, padded; the test split is held out."""

    kind: ClassVar[Literal["points", "images", "pairs"]] = "images"
    published_name: ClassVar[str]
    """By which torchvision calls it, and its folder."""

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

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load ``<name>/raw`` below ``data_root``, by default ``data``: files unpacked, or as published (``.gz``).

        Those are unpacked into the cache folder.

        Raises:
            InputError: files are missing, unreadable, truncated or corrupt.
        """
        name = self.published_name
        dataset = getattr(import_torchvision().datasets, name)
        root = _verified_root(name, self.unpacked_md5(), dict(dataset.resources), data_root or DEFAULT_DATA_ROOT)
        train, test = (_split(dataset(root, train=part), self.size) for part in (True, False))
        return ImageData.load(train, test, device, self.classes)


def _split(dataset: Any, size: int) -> Split:
    before = (size - PUBLISHED_SIZE) // 2
    after = size - PUBLISHED_SIZE - before
    return Split(pad(dataset.data, [before, after, before, after]).unsqueeze(1), dataset.targets.long())


def _verified_root(name: str, unpacked: Mapping[str, str], published: Mapping[str, str], data_root: Path) -> Path:
    """Return the root from which torchvision can read ``name``, each of its files checked."""
    raw = data_root / name / "raw"
    if all((raw / file).is_file() for file in unpacked):
        for file, md5 in unpacked.items():
            _read(raw / file, md5)
        return data_root
    if not all((raw / file).is_file() for file in published):
        raise InputError(_how_to_get(name, raw, unpacked))
    cache = cache_folder("datasets")
    for file, md5 in published.items():
        target = cache / name / "raw" / file.removesuffix(".gz")
        _unpack(raw / file, md5, target, unpacked[target.name])
    return cache


def _unpack(path: Path, md5: str, target: Path, target_md5: str) -> None:
    """Unpack ``path`` to ``target`` unless it is there. Two processes may do so at once: each renames a whole file."""
    packed = _read(path, md5)
    if target.is_file() and _md5(target.read_bytes()) == target_md5:
        return
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot unpack {path}: {error}") from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, lambda file: file.write(content))
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; set XDG_CACHE_HOME to another folder") from error


def _read(path: Path, md5: str) -> bytes:
    """Return the content of ``path`` if it has the checksum ``md5``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if (found := _md5(content)) != md5:
        size = f"{len(content):,} bytes"
        raise InputError(f"{path} is truncated or corrupt: expected MD5 {md5}, found {found} ({size}); fetch it again")
    return content


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _how_to_get(name: str, raw: Path, files: Mapping[str, str]) -> str:
    root = raw.parent.parent
    helper = "from lipschitz.datasets.torchvision_import import import_torchvision"
    code = f"{helper}; import_torchvision().datasets.{name}({str(root)!r}, download=True)"
    missing = ", ".join(file for file in files if not (raw / file).is_file() and not (raw / f"{file}.gz").is_file())
    return (
        f"data set {name} is not in {root} (set by --data-root): {raw} has no {missing or 'complete set of files'}, "
        f'unpacked or as .gz; to download it: python -c "{code}"'
    )
