"""Fetching a published file: what a broken connection leaves is gone on from, and only a whole file gets its name."""

from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lipschitz.datasets.files.checksums import md5_of
from lipschitz.errors import InputError
from lipschitz.files import lock

TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as broken."""
BLOCK = 2**20
NOTHING_BEYOND = 416

Observer = Callable[[int, int | None], None]
"""Told of the bytes that are there, and of how many there will be where the server says so."""


def download(urls: Sequence[str], target: Path, md5: str, observe: Observer = lambda done, total: None) -> None:
    """Fetch ``target`` from the first of ``urls`` that gives it; go on from ``<target>.part`` where that is there.

    Raises:
        InputError: no address gives it, or what came has another MD5; another process fetches it; it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock(part, wait=False) as free:
            if not free:
                raise InputError(f"{part}: another process is fetching this file")
            _fetch_any(urls, part, target, md5, observe)
            if (found := md5_of(part)) != md5:
                size = part.stat().st_size
                part.unlink()
                raise InputError(
                    f"{target.name} from {urls[0]}: expected MD5 {md5}, found {found} ({size:,} bytes), so that "
                    "nothing is kept; the same command begins anew"
                )
            part.replace(target)
    except OSError as error:
        raise InputError(
            f"cannot write {error.filename or part}: {error.strerror}; give another --data-root"
        ) from error


def _fetch_any(urls: Sequence[str], part: Path, target: Path, md5: str, observe: Observer) -> None:
    reasons = []
    for url in urls:
        try:
            return _fetch(url, part, observe)
        except _Broken as error:
            reasons.append(f"{url}: {error}")
    if not part.stat().st_size:
        part.unlink()
    raise InputError(
        f"cannot fetch {'; '.join(reasons)}; the same command goes on from what has come; without a network, fetch it "
        f"elsewhere and put it at {target} (MD5 {md5})"
    )


class _Broken(Exception):
    """What keeps an address from giving a file; not what keeps a disk from taking it."""


def _fetch(url: str, part: Path, observe: Observer) -> None:
    """Append to ``part`` what it lacks of ``url``, or write it anew where the server gives no parts of files."""
    done = part.stat().st_size
    try:
        response = urlopen(Request(url, headers={"Range": f"bytes={done}-"} if done else {}), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        # Whether that which is there is the whole file is for its MD5 to say.
        if error.code == NOTHING_BEYOND and done:
            return
        raise _Broken(error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _Broken(error) from error
    with response:
        goes_on = response.status == 206
        done = done if goes_on else 0
        length = response.headers["Content-Length"]
        total = done + int(length) if length else None
        with part.open("ab" if goes_on else "wb") as file:
            while block := _read(response):
                file.write(block)
                done += len(block)
                observe(done, total)
    if total is not None and done < total:
        raise _Broken(f"the connection ended after {done:,} of {total:,} bytes")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(BLOCK)
    except (OSError, HTTPException) as error:
        raise _Broken(error) from error
