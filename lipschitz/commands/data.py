"""``lipschitz data``: list the published data sets and weights, and download and unpack one of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from lipschitz.datasets.base import DATASETS, DEFAULT_DATA_ROOT, Dataset
from lipschitz.datasets.download import Observer, check_md5, download, md5_of, unpack
from lipschitz.datasets.images.published import Archive, PublishedDataset
from lipschitz.errors import InputError, nearest
from lipschitz.features.inception_weights import SOURCE, cached_weights, download_weights

PUBLISHED: dict[str, type[PublishedDataset]] = {
    name: kind for name, kind in DATASETS.items() if issubclass(kind, PublishedDataset)
}
"""The data sets that can be downloaded."""
WEIGHTS = "inception"
"""Name of the weights of the FID's Inception network, which are kept in the cache."""


def listed(data_root: Path | None) -> Iterator[tuple[str, str, str, str]]:
    """Yield of each published data set its name, whether its files are below ``data_root``, how to get it, and a line.

    Files are not read: a wrong MD5 is found when a data set is loaded or fetched.
    """
    for name, kind in PUBLISHED.items():
        dataset = kind()
        there = "no" if dataset.missing(data_root or DEFAULT_DATA_ROOT) else "yes"
        fetched = all(archive.urls for archive in dataset.archives()) and not dataset.instructions
        yield name, there, f"lipschitz data {name}" if fetched else "by hand", kind.summary()
    yield WEIGHTS, "yes" if cached_weights().is_file() else "no", f"lipschitz data {WEIGHTS}", f"Weights: {SOURCE}."


def fetch(name: str, data_root: Path | None, observer: Callable[[str], Observer]) -> str:
    """Download the missing files of the data set ``name``, check and unpack them; return a line that says where.

    Args:
        name: of the data set, or `WEIGHTS`.
        data_root: folder of the data sets.
        observer: makes, for the name of a file, the function that is told how many bytes of it have arrived.

    Raises:
        InputError: there is no such data set, or it cannot be downloaded; the message says how to get it by hand.
    """
    if name == WEIGHTS:
        return f"{name} is in {download_weights()}"
    dataset, root = _called(name), data_root or DEFAULT_DATA_ROOT
    try:
        dataset.verify(root)
    except InputError:
        pass
    else:
        return f"{name} is in {root}"
    for archive in dataset.archives():
        if _is_there(root, archive, observer) and archive.unpacks:
            unpack(root / archive.path)
    if missing := dataset.missing(root):
        raise InputError(f"{name} is not in {root}, which has no {', '.join(missing)}; {dataset.instructions}")
    dataset.verify(root)
    return f"{name} is in {root} now"


def show_data(data_root: Path | None, console: Console) -> None:
    """Print what `listed` yields as a table."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "downloaded", "command", "description"):
        table.add_column(column, overflow="fold", no_wrap=column != "description")
    for row in listed(data_root):
        table.add_row(*row)
    console.print(table)


def download_data(name: str, data_root: Path | None, console: Console) -> None:
    """Download the data set ``name``, with progress bars on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def observer(file: str) -> Observer:
            task = progress.add_task(file, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        line = fetch(name, data_root, observer)
    console.print(line, soft_wrap=True)


def _called(name: str) -> PublishedDataset:
    if name in PUBLISHED:
        return PUBLISHED[name]()
    if name in DATASETS:
        raise InputError(f"{name} {_why_not_downloaded(DATASETS[name])}; allowed: {', '.join([*PUBLISHED, WEIGHTS])}")
    raise InputError(f"unknown data set '{name}'; {nearest(name, [*PUBLISHED, WEIGHTS])}")


def _why_not_downloaded(kind: type[Dataset]) -> str:
    if kind.source.endswith("of the user's"):
        return "is read from your own files, nothing to download"
    if kind.kind != "images":
        return "is generated, nothing to download"
    return "has no files that this command downloads"


def _is_there(root: Path, archive: Archive, observer: Callable[[str], Observer]) -> bool:
    """Download the archive if it is missing or broken and has an address; return whether it is there."""
    path = root / archive.path
    if not archive.urls:
        if path.exists():
            check_md5(path, archive.md5)
        return path.exists()
    if not path.exists() or md5_of(path) != archive.md5:
        download(archive.urls, path, archive.md5, observer(path.name))
    return True
