"""Data sets that are published as files, kept and read as torchvision keeps and reads them."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset
from lipschitz.datasets.files.checksums import check_md5
from lipschitz.datasets.images.torchvision_import import import_torchvision
from lipschitz.errors import InputError, first_line


class Archive(NamedTuple):
    """A file as published, from which a data set's files come."""

    path: str
    """Below the data root."""
    md5: str
    urls: tuple[str, ...]
    """Where it can be fetched from, tried in order; none where the publisher lets no script fetch it."""
    unpacks: bool
    """Whether it is unpacked where it lies, or read as it is."""


class Published(Dataset):
    """A data set of published files. Loading it only reads; ``lipschitz data`` fetches."""

    kind: ClassVar[Literal["points", "images", "pairs"]] = "images"
    instructions: ClassVar[str] = ""
    """How to get by hand what no script may fetch."""

    @abstractmethod
    def files(self) -> Mapping[str, str | None]:
        """Return what `load` reads, below the data root: each file's MD5, None for a folder."""

    @abstractmethod
    def archives(self) -> tuple[Archive, ...]:
        """Return what is published."""

    def missing(self, data_root: Path) -> list[str]:
        """Return those of its files that are not below ``data_root``."""
        return [file for file in self.files() if not (data_root / file).exists()]

    def verified(self, data_root: Path | None) -> Path:
        """Return the data root, by default ``data``, having checked that every file is there, and its MD5.

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
        """Refuse a data root that lacks a file.

        Raises:
            InputError: one is missing: which, and how to get it.
        """
        if missing := self.missing(data_root):
            raise InputError(
                f"data set {self.name()} is not in {data_root} (set by --data-root), which has no "
                f"{', '.join(missing)}; to get it: lipschitz data {self.name()} --data-root {data_root}"
            )

    @classmethod
    def torchvision(cls) -> Any:
        """Return torchvision's class of this data set."""
        return getattr(import_torchvision().datasets, cls.__name__)


@contextmanager
def readable(name: str, data_root: Path) -> Iterator[None]:
    """Turn what torchvision raises of files that are not what they are called into one line.

    Raises:
        InputError: the block raised an error.
    """
    try:
        yield
    # What a torn or foreign file raises depends on where it is torn.
    except Exception as error:
        raise InputError(
            f"data set {name} in {data_root} cannot be read: {first_line(error)}; fetch it again"
        ) from error
