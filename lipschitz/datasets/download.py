"""Download published files, resuming a partial download; check their MD5; unpack archives."""

import hashlib
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lipschitz.errors import InputError, first_line, printable
from lipschitz.files import open_regular
from lipschitz.locks import lock


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
        with open_regular(path) as file:
            return hashlib.file_digest(file, _md5).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


TIMEOUT = 60.0
"""Seconds without data after which a connection counts as broken."""
DAMAGED = (zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
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

    Published data sets hold regular files and folders alone; an archive with another member, or with one outside of its
    folder, is refused, and so is one that takes more than the free space of the disk.

    Raises:
        InputError: it is damaged or refused, or the disk is full.
    """
    try:
        with TemporaryDirectory(dir=archive.parent, prefix=f".{archive.name}.") as scratch:
            _extract(archive, Path(scratch))
            _move(Path(scratch), archive.parent)
    except (OSError, EOFError, ValueError, RuntimeError, *DAMAGED) as error:
        raise InputError(f"cannot unpack {archive}: {printable(first_line(error))[:120]}") from error


class _Member(NamedTuple):
    name: str
    size: int
    is_folder: bool
    content: BinaryIO | None
    """None for what is neither a folder nor a regular file."""


def _extract(archive: Path, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    for member in _zipped(archive) if archive.suffix == ".zip" else _in_tar(archive):
        free -= member.size
        if free < 0:
            raise ValueError(f"{member.name} of {member.size:,} bytes does not fit on the disk")
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.content or member.is_folder):
            raise ValueError(f"{member.name} is not a file or folder below the archive's own")
        target = folder / path
        (target if member.is_folder else target.parent).mkdir(parents=True, exist_ok=True)
        if member.content:
            with member.content as content, target.open("wb") as file:
                shutil.copyfileobj(content, file, BLOCK)


def _zipped(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            is_plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG) and not info.is_dir()
            content = opened.open(info) if is_plain else None
            yield _Member(info.filename, info.file_size, info.is_dir(), cast(BinaryIO, content))


def _in_tar(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as opened:
        for info in opened:
            content = opened.extractfile(info) if info.isfile() else None
            yield _Member(info.name, info.size, info.isdir(), cast(BinaryIO, content))


def _move(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.is_dir() and (target / path.name).is_dir():
            _move(path, target / path.name)
        else:
            path.replace(target / path.name)
