"""Read MNIST and Fashion-MNIST files: unpacked, as torchvision stores them, or gzipped, as published."""

import gzip
import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from torch.nn.functional import pad

from lipschitz.cache import cache_folder
from lipschitz.datasets.base import DEFAULT_DATA_ROOT
from lipschitz.datasets.download import check_md5, md5_of
from lipschitz.datasets.images.published import Archive, PublishedDataset, TrainTest
from lipschitz.datasets.images.split import Split
from lipschitz.errors import InputError
from lipschitz.files import write_bytes

PUBLISHED_SIZE = 28


class MnistFormat(PublishedDataset):
    """70,000 images in ten classes, 28x28 grey, padded; the test split is held out."""

    size: Annotated[int, Field(ge=PUBLISHED_SIZE, le=4096)] = 32
    """Height and width in pixels; the published 28x28 pixels are padded with black. Models may need a multiple of 8."""

    @classmethod
    @abstractmethod
    def unpacked_md5(cls) -> Mapping[str, str]:
        """Return the MD5 of each unpacked file; torchvision has only those of the packed files."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1, size, size)``."""
        return (1, self.size, self.size)

    @property
    def classes(self) -> int:
        """Ten."""
        return 10

    @property
    def training_images(self) -> int:
        """Those of the training split."""
        return 60_000

    def class_names(self) -> Sequence[str] | None:
        """Return the names of the classes; None if they are digits, so that labels need no names."""
        return None

    def files(self) -> Mapping[str, str | None]:
        """Return the four unpacked files, in torchvision's folder."""
        return {f"{type(self).__name__}/raw/{file}": md5 for file, md5 in self.unpacked_md5().items()}

    def archives(self) -> tuple[Archive, ...]:
        """Return the four published files (``.gz``), which can be read as they are."""
        theirs = self.torchvision()
        return tuple(
            Archive(
                f"{type(self).__name__}/raw/{file}", md5, tuple(f"{mirror}{file}" for mirror in theirs.mirrors), False
            )
            for file, md5 in theirs.resources
        )

    def missing(self, data_root: Path) -> list[str]:
        """Return the missing files.

        These are the files of which neither the unpacked nor the packed form exists; if there are none, but some files
        exist in one form and some in the other, the missing packed files.
        """
        files = [data_root / file for file in self.files()]
        if all(file.is_file() for file in files):
            return []
        packed = [file.with_name(f"{file.name}.gz") for file in files]
        neither = [file for file, gz in zip(files, packed, strict=True) if not file.is_file() and not gz.is_file()]
        return [str(file.relative_to(data_root)) for file in neither or packed if not file.is_file()]

    def verify(self, data_root: Path | None) -> Path:
        """Check the MD5 of every file; return the root below which torchvision can read the unpacked files.

        Packed files are unpacked to the cache folder, and its path is returned.

        Raises:
            InputError: files are missing, unreadable, truncated or corrupt; the cache folder cannot be written.
        """
        root = data_root or DEFAULT_DATA_ROOT
        self.check_presence(root)
        if all((root / file).is_file() for file in self.files()):
            return super().verify(root)
        cache = cache_folder("datasets")
        for archive in self.archives():
            target = cache / archive.path.removesuffix(".gz")
            _unpack(root / archive.path, archive.md5, target, self.unpacked_md5()[target.name])
        return cache

    def read(self, root: Path) -> TrainTest:
        """Read both splits."""
        train, test = (_split(self.open_torchvision(root, train=part), self.size) for part in (True, False))
        return TrainTest(train, test, self.class_names())


def _split(dataset: Any, size: int) -> Split:
    before = (size - PUBLISHED_SIZE) // 2
    after = size - PUBLISHED_SIZE - before
    return Split(pad(dataset.data, [before, after, before, after]).unsqueeze(1), dataset.targets.long())


def _unpack(path: Path, md5: str, target: Path, target_md5: str) -> None:
    """Unpack ``path`` to ``target`` unless ``target`` is already whole.

    Two processes may do this at the same time: each renames a whole file.
    """
    check_md5(path, md5)
    if target.is_file() and md5_of(target) == target_md5:
        return
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot unpack {path}: {error}") from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, content)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; set XDG_CACHE_HOME to another folder") from error


MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


class MNIST(MnistFormat):
    """70,000 handwritten digits, 28x28 grey, padded; the test split is held out."""

    named = "mnist"
    source = "LeCun et al. 1998, doi:10.1109/5.726791"

    @classmethod
    def unpacked_md5(cls) -> Mapping[str, str]:
        """Return the MD5 of each unpacked file."""
        return MNIST_MD5


FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}


class FashionMNIST(MnistFormat):
    """70,000 articles of clothing in ten classes, 28x28 grey, padded; the test split is held out."""

    named = "fashion_mnist"
    source = "Xiao et al. 2017, arXiv:1708.07747"

    @classmethod
    def unpacked_md5(cls) -> Mapping[str, str]:
        """Return the MD5 of each unpacked file."""
        return FASHION_MNIST_MD5

    def class_names(self) -> Sequence[str]:
        """Return the published names of the classes, from torchvision."""
        names: Sequence[str] = self.torchvision().classes
        return names
