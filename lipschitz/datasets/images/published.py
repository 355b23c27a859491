"""Base class of image data sets that are read by torchvision's classes."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch

from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset, ImageData
from lipschitz.datasets.download import check_md5
from lipschitz.datasets.images.placement import Source
from lipschitz.datasets.images.torchvision_import import import_torchvision
from lipschitz.errors import InputError, MissingInput, first_line, printable


class Archive(NamedTuple):
    """A file as published."""

    path: str
    """Path below the data root."""
    md5: str
    urls: tuple[str, ...]
    """Where it can be downloaded, tried in order; empty if the publisher does not allow downloads by a script."""
    unpacks: bool
    """Whether it is unpacked into its folder; otherwise it is read as it is."""


class TrainTest(NamedTuple):
    """What the files of a data set hold."""

    train: Source
    test: Source
    class_names: Sequence[str] | None = None


class PublishedDataset(Dataset):
    """A data set of published files. `load` only reads them; ``lipschitz data`` downloads them.

    A subclass has the name of torchvision's class.
    """

    kind = "images"
    instructions: ClassVar[str] = ""
    """How to get the files by hand, if no script may download them."""

    @abstractmethod
    def read(self, root: Path) -> TrainTest:
        """Read the files below ``root``, which have been checked.

        Raises:
            InputError: they cannot be read.
        """

    def files(self) -> Mapping[str, str | None]:
        """Return the files that `load` reads, as paths below the data root, and their MD5s; None for a folder."""
        theirs = self.torchvision()
        return {f"{theirs.base_folder}/{file}": md5 for file, md5 in [*theirs.train_list, *theirs.test_list]}

    def archives(self) -> tuple[Archive, ...]:
        """Return the published files: by default the one archive that torchvision's class names."""
        theirs = self.torchvision()
        return (Archive(theirs.filename, theirs.tgz_md5, (theirs.url,), unpacks=True),)

    def load(self, data_root: Path | None, device: torch.device) -> ImageData:
        """Load the files below ``data_root``, by default ``data``; the test split is held out.

        Raises:
            InputError: files are missing, unreadable, truncated or corrupt.
        """
        train, test, class_names = self.read(self.verify(data_root))
        return ImageData.load(train, test, device, self.classes, class_names)

    def missing(self, data_root: Path) -> list[str]:
        """Return those of its files that are not below ``data_root``."""
        paths = {file: data_root / file for file in self.files()}
        return [file for file, path in paths.items() if not (path.is_file() or path.is_dir())]

    def verify(self, data_root: Path | None) -> Path:
        """Check that every file exists and has its MD5; return the data root, by default ``data``.

        Raises:
            InputError: a file is missing, unreadable, truncated or corrupt.
        """
        root = data_root or DEFAULT_DATA_ROOT
        self.check_presence(root)
        for file, md5 in self.files().items():
            if md5 is not None:
                check_md5(root / file, md5)
        return root

    def check_presence(self, data_root: Path) -> None:
        """Check that every file exists.

        Raises:
            InputError: names the missing files, and how to get them.
        """
        if missing := self.missing(data_root):
            raise MissingInput(
                f"data set {self.name()} not found in {data_root} (set by --data-root): missing "
                f"{', '.join(missing)}; to get it: lipschitz data {self.name()} --data-root {data_root}"
            )

    @classmethod
    def torchvision(cls) -> Any:
        """Return torchvision's class of this data set."""
        return getattr(import_torchvision().datasets, cls.__name__)

    def open_torchvision(self, root: Path, **options: Any) -> Any:
        """Return torchvision's data set of the files below ``root``.

        Raises:
            InputError: torchvision cannot read them.
        """
        try:
            return self.torchvision()(root, **options)
        # The type of the exception depends on where a file is damaged.
        except Exception as error:
            raise InputError(
                f"data set {self.name()} in {root} cannot be read: {printable(first_line(error))}; download it again"
            ) from error
