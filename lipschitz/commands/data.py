"""What ``lipschitz data`` does: says which published data sets, and weights, are there, and fetches one."""

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from lipschitz.datasets.base import DEFAULT_DATA_ROOT
from lipschitz.datasets.catalogue import DATASETS
from lipschitz.datasets.files.checksums import check_md5, md5_of
from lipschitz.datasets.files.download import Observer, download
from lipschitz.datasets.files.unpack import unpack
from lipschitz.datasets.images.published import Archive, Published
from lipschitz.errors import InputError, nearest
from lipschitz.features.inception_weights import SOURCE, cached_weights, download_weights

PUBLISHED: dict[str, type[Published]] = {name: kind for name, kind in DATASETS.items() if issubclass(kind, Published)}
"""What data there is to fetch."""
WEIGHTS = "inception"
"""What else: the weights of the network by whose features protocols judge images, kept in the cache."""


def listed(data_root: Path | None) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, whether its files are below ``data_root``, how to get it, and what it is, of each published one.

    Files are looked for, not read: a wrong MD5 shows when one is loaded or fetched.
    """
    for name, kind in PUBLISHED.items():
        dataset = kind()
        there = "no" if dataset.missing(data_root or DEFAULT_DATA_ROOT) else "yes"
        fetched = all(archive.urls for archive in dataset.archives()) and not dataset.instructions
        yield name, there, f"lipschitz data {name}" if fetched else "by hand", kind.summary()
    yield WEIGHTS, "yes" if cached_weights().is_file() else "no", f"lipschitz data {WEIGHTS}", f"Weights: {SOURCE}."


def fetch(name: str, data_root: Path | None, observer: Callable[[str], Observer]) -> str:
    """Fetch what is missing of the data set ``name``, check and unpack it; return a line about what was done.

    ``observer`` makes of a file's name what is told how much of it has come.

    Raises:
        InputError: there is no such data set, or it cannot be got, or not by a script: then the line says how.
    """
    if name == WEIGHTS:
        return f"{name} is in {download_weights()}"
    dataset, root = _called(name), data_root or DEFAULT_DATA_ROOT
    try:
        dataset.verified(root)
    except InputError:
        pass
    else:
        return f"{name} is in {root}"
    for archive in dataset.archives():
        if _is_there(root, archive, observer) and archive.unpacks:
            unpack(root / archive.path)
    if missing := dataset.missing(root):
        raise InputError(f"{name} is not in {root}, which has no {', '.join(missing)}; {dataset.instructions}")
    dataset.verified(root)
    return f"{name} is in {root} now"


def show(data_root: Path | None, console: Console) -> None:
    """Print what is listed as a table."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "there", "to get it", "what it is"):
        table.add_column(column, overflow="fold", no_wrap=column != "what it is")
    for row in listed(data_root):
        table.add_row(*row)
    console.print(table)


def fetch_and_show(name: str, data_root: Path | None, console: Console) -> None:
    """Fetch the data set ``name``, and show how it goes."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def observer(file: str) -> Observer:
            task = progress.add_task(file, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        line = fetch(name, data_root, observer)
    console.print(line, soft_wrap=True)


def _called(name: str) -> Published:
    if name in PUBLISHED:
        return PUBLISHED[name]()
    if name in DATASETS:
        raise InputError(f"{name} is not fetched: {DATASETS[name].source}; what is: {', '.join(PUBLISHED)}")
    raise InputError(f"unknown data set '{name}': {nearest(name, [*PUBLISHED, WEIGHTS])}")


def _is_there(root: Path, archive: Archive, observer: Callable[[str], Observer]) -> bool:
    """Return whether the archive is there and whole, having fetched it where that is allowed."""
    path = root / archive.path
    if not archive.urls:
        if path.exists():
            check_md5(path, archive.md5)
        return path.exists()
    if not path.exists() or md5_of(path) != archive.md5:
        download(archive.urls, path, archive.md5, observer(path.name))
    return True
