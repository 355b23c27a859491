"""Download published files, resuming a partial download; check their MD5; unpack archives."""

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lipschitz.errors import InputError
from lipschitz.files import lock


def check_md5(path: Path, md5: str) -> None:
    """Check that a file is the published one.

    Raises:
        InputError: ``path`` cannot be read, or its MD5 is not ``md5``.
    """
    if (found := md5_of(path)) != md5:
        raise InputError(
            f"{path} is truncated or corrupt: expected MD5 {md5}, got {found} ({path.stat().st_size:,} bytes); "
            "remove it and download it again"
        )


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, in hex.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, _md5).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


TIMEOUT = 60.0
"""Seconds without data after which a connection counts as broken."""
BLOCK = 2**20
"""Bytes that are read at a time."""

Observer = Callable[[int, int | None], None]
"""Called with the bytes downloaded so far, and the size of the file if the server says it."""


def download(urls: Sequence[str], target: Path, md5: str, observe: Observer = lambda done, total: None) -> None:
    """Download ``target`` from the first of ``urls`` that works; resume from ``<target>.part`` if that file exists.

    Raises:
        InputError: no URL works; the file has another MD5 (it is deleted); another process is downloading it; it cannot
            be written.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock(part, wait=False) as acquired:
            if not acquired:
                raise InputError(f"{part}: another process is downloading this file")
            _download_any(urls, part, target, md5, observe)
            if (found := md5_of(part)) != md5:
                size = part.stat().st_size
                part.unlink()
                raise InputError(
                    f"{target.name} from {urls[0]}: expected MD5 {md5}, got {found} ({size:,} bytes); the "
                    "download was deleted: run the same command to start again"
                )
            part.replace(target)
    except OSError as error:
        raise InputError(
            f"cannot write {error.filename or part}: {error.strerror}; give another --data-root"
        ) from error


def _download_any(urls: Sequence[str], part: Path, target: Path, md5: str, observe: Observer) -> None:
    reasons = []
    for url in urls:
        try:
            return _download(url, part, observe)
        except _DownloadError as error:
            reasons.append(f"{url}: {error}")
    if not part.stat().st_size:
        part.unlink()
    raise InputError(
        f"cannot download {'; '.join(reasons)}; run the same command to resume, or download it on another machine and "
        f"save it as {target} (MD5 {md5})"
    )


class _DownloadError(Exception):
    """A server or connection failed; not the disk."""


def _download(url: str, part: Path, observe: Observer) -> None:
    """Append the rest of ``url`` to ``part``, or write all of it if the server does not support range requests."""
    done = part.stat().st_size
    try:
        response = urlopen(Request(url, headers={"Range": f"bytes={done}-"} if done else {}), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        # Nothing is left to download; the MD5 shows whether the file is the published one.
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and done:
            return
        raise _DownloadError(error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _DownloadError(error) from error
    with response:
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        done = done if resumed else 0
        length = response.headers["Content-Length"]
        total = done + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while block := _read(response):
                file.write(block)
                done += len(block)
                observe(done, total)
    if total is not None and done < total:
        raise _DownloadError(f"the connection ended after {done:,} of {total:,} bytes")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(BLOCK)
    except (OSError, HTTPException) as error:
        raise _DownloadError(error) from error


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
