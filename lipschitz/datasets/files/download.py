"""Download a published file, resuming a partial download; the file gets its name once it is complete."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lipschitz.datasets.files.checksums import md5_of
from lipschitz.errors import InputError
from lipschitz.files import lock

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
