"""Unpack an archive into its folder, after all of it was extracted to a temporary folder."""

import tarfile
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

from lipschitz.errors import InputError


def unpack(archive: Path) -> None:
    """Unpack ``archive``, a .zip or .tar of any compression, into its folder; existing files are replaced.

    Raises:
        InputError: it is damaged, or the disk is full.
    """
    try:
        with TemporaryDirectory(dir=archive.parent, prefix=f".{archive.name}.") as scratch:
            _extract(archive, Path(scratch))
            _move(Path(scratch), archive.parent)
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot unpack {archive}: {error}") from error


def _extract(archive: Path, folder: Path) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(folder)
        return
    with tarfile.open(archive) as tar:
        # Rejects members outside of the folder; early releases of Python 3.11 do not have this filter.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        tar.extractall(folder)


def _move(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.is_dir() and (target / path.name).is_dir():
            _move(path, target / path.name)
        else:
            path.replace(target / path.name)
