"""Who takes part in a sweep: each process has a file in ``joined/members/`` that changes as long as it lives. No torch.

Clocks of machines are never compared: a process is taken for lost if its file has not changed for a while, by the clock
of the one who looks. One that is gone from the machine of the one who looks is known to be.
"""

import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Any

from lipschitz.files import link_first
from lipschitz.process_identity import identity, is_gone, is_running

LEASE_SECONDS = 60.0
"""How long the file of a process may stay as it is before the process is taken for lost."""
BEAT_SECONDS = 1.0
"""Time between two changes of the file, at most."""
TRIES = 5
"""How often it is tried to write the file where another process removes it or the folder."""
DIGITS = 20
"""Of the number at the end of the file, which counts its changes."""


@dataclass(frozen=True)
class Member:
    """A process that takes part, as its file says."""

    token: str
    host: str = ""
    pid: int = 0
    identity: str = ""
    """See `lipschitz.process_identity`."""
    plan: str = ""
    """Hash of the sweep file's content."""
    joins: bool = True
    """Whether others may take part, too: False for a sweep by itself."""
    code: str = ""
    """Version and commit of its code, in words; empty where an earlier version wrote the file."""
    beats: int = 0

    def described(self) -> str:
        """Return it in words, such as ``process 12 on a-host``."""
        return f"process {self.pid} on {self.host}" if self.host else f"process {self.token}"


class OwnMember:
    """This process among the members. Its file is changed by a thread until `leave`.

    Raises:
        OSError: the folder cannot be written; or, where others may join, has no hard links.
    """

    def __init__(self, folder: Path, *, plan: str, joins: bool, code: str = "", lease: float = LEASE_SECONDS) -> None:
        self.token = secrets.token_hex(4)
        self.path, self._joins = folder / self.token, joins
        process = {"token": self.token, "host": gethostname(), "pid": os.getpid(), "identity": identity()}
        self._head = f"{json.dumps({**process, 'plan': plan, 'joins': joins, 'code': code})}\n"
        self._beats, self._over = 0, threading.Event()
        for _ in range(TRIES - 1):
            # Another one may just remove the folder, as the last that left, or the file, as one that was not whole.
            with suppress(FileNotFoundError):
                self._write()
                break
        else:
            self._write()
        self._thread = threading.Thread(target=self._beat, args=(min(BEAT_SECONDS, lease / 5),), daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Remove the file: what this process had claimed is free at once."""
        self._over.set()
        self._thread.join()
        with suppress(OSError):
            self.path.unlink()
            # The last one out leaves no empty folders.
            self.path.parent.rmdir()

    def write_again(self) -> bool:
        """Write the file anew, where others took this process for lost and removed it; say whether it is there.

        It is not where a sweep by itself has begun meanwhile: of that and this process, each writes its own file and
        then looks for the other's, so that one of them sees the other.
        """
        with suppress(OSError):
            if not self.path.exists():
                self._write()
                if self._joins and is_shut_out(self.path.parent):
                    self.path.unlink(missing_ok=True)
                    return False
        return True

    def _write(self) -> None:
        spare = self.path.with_name(f".{self.token}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        spare.write_text(self._content(), "utf-8")
        try:
            # By a link, so that a file system without links is noticed now, and not when the first run has ended.
            if not self._joins or not link_first(spare, self.path):
                spare.replace(self.path)
        finally:
            spare.unlink(missing_ok=True)

    def _content(self) -> str:
        return f"{self._head}{self._beats:0{DIGITS}}\n"

    def _beat(self, seconds: float) -> None:
        while not self._over.wait(seconds):
            self._beats += 1
            with suppress(OSError):
                try:
                    # In place, so that its other names, which are claims, and other machines see the same file.
                    descriptor = os.open(self.path, os.O_WRONLY)
                except FileNotFoundError:
                    self.write_again()
                    continue
                try:
                    os.pwrite(descriptor, self._content().encode(), 0)
                finally:
                    os.close(descriptor)


def read_member(path: Path) -> Member | None:
    """Return what the file of a member, or another name of it, says; None where there is none that can be read."""
    try:
        head, _, beats = path.read_text("utf-8").partition("\n")
        found: dict[str, Any] = json.loads(head)
        return Member(
            str(found["token"]),
            str(found["host"]),
            int(found["pid"]),
            str(found["identity"]),
            str(found["plan"]),
            bool(found["joins"]),
            str(found.get("code", "")),
            int(beats or 0),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def is_shut_out(folder: Path, token: str = "") -> bool:
    """Say whether a sweep by itself may be alive, which nobody can join.

    Args:
        folder: of the members' files.
        token: of a process that joined; as long as its file is there no sweep by itself begins. Empty: do not look.
    """
    if token and (folder / token).exists():
        return False
    return any(not member.joins and not is_gone(member.identity) for member in Members(folder).all())


@dataclass
class _Seen:
    beats: int
    since: float
    """When the file was first seen with so many changes."""
    looked: float
    has_beaten: bool = False
    """Whether a change of it was seen."""


class Members:
    """All members of a sweep, watched: who lives, who is lost.

    Args:
        folder: of the files.
        own: token of this process, which lives.
        lease: seconds without a change after which a member is lost.
    """

    def __init__(
        self,
        folder: Path,
        own: str = "",
        lease: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._own, self._lease, self._clock = folder, own, lease, clock
        self._seen: dict[str, _Seen] = {}

    def others(self) -> list[Member]:
        """Return the members that may be alive, without this process, in the order of their tokens."""
        return [member for member in self.all() if member.token != self._own and self.may_live(member.token)]

    def all(self) -> list[Member]:
        """Return every member that has a file."""
        try:
            paths = sorted(self._folder.iterdir())
        except OSError:
            return []
        found = [read_member(path) for path in paths if not path.name.startswith(".")]
        return [member for member in found if member is not None]

    def may_live(self, token: str) -> bool:
        """Look at a member's file: False where it has left, is gone, or did not change for as long as a lease."""
        if token == self._own:
            return True
        member = read_member(self._folder / token)
        if member is None or is_gone(member.identity):
            self._seen.pop(token, None)
            return False
        now, seen = self._clock(), self._seen.get(token)
        if seen is None:
            self._seen[token] = _Seen(member.beats, now, now)
            return True
        if seen.beats != member.beats:
            seen.beats, seen.since, seen.has_beaten = member.beats, now, True
        elif now - seen.looked > self._lease / 2:
            # This process has not looked for long, or was itself stopped: that the file did not change says nothing.
            seen.since, seen.has_beaten = now, False
        seen.looked = now
        return now - seen.since <= self._lease

    def lives(self, token: str) -> bool:
        """Return whether a change of a member's file was seen, by `may_live`, within a lease."""
        if token == self._own:
            return True
        seen = self._seen.get(token)
        return seen is not None and seen.has_beaten and self._clock() - seen.since <= self._lease

    def is_here(self, member: Member) -> bool:
        """Return whether a member is a process of this machine, which runs."""
        return is_running(member.identity)

    def remove_lost(self) -> None:
        """Remove the files of members that are gone or lost, but none that cannot be read; and what was half written.

        Who is just writing its file does that again: see `OwnMember`.
        """
        lost = [self._folder / member.token for member in self.all() if not self.may_live(member.token)]
        with suppress(OSError):
            for path in [*lost, *self._folder.glob(".*")]:
                member = read_member(path)
                if path in lost or member is None or is_gone(member.identity):
                    path.unlink(missing_ok=True)
