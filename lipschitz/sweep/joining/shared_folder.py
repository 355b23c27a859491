"""The folder of a sweep that several processes share: who may come in, who writes the plan, who times, who reports."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from socket import gethostname
from typing import Any

from lipschitz.errors import InputError
from lipschitz.signals import raise_if_stopped
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.growth import growth, refuse_smaller
from lipschitz.sweep.joining.claimed_jobs import LOOK_SECONDS, ClaimedJobs
from lipschitz.sweep.joining.claims import Claims, remove_claims
from lipschitz.sweep.joining.members import BEAT_SECONDS, LEASE_SECONDS, Member, Members, OwnMember
from lipschitz.sweep.provenance import code_in_words
from lipschitz.sweep.store import SweepFolder

TIMING, REPORT = "timing", "report"
"""What is claimed besides runs; no run has such an id."""


def plan_hash(sweep: Sweep) -> str:
    """Return a hash of what a sweep is: the file's content, and the ids of its runs unless results choose some."""
    ids = [] if sweep.waiting or sweep.choices else sorted(run.id for run in sweep.runs)
    content = json.dumps([sweep.name, sweep.task.label(), sweep.content, sweep.labels, ids], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


class SharedFolder:
    """The folder of a sweep and its other members, as this process sees them."""

    def __init__(self, folder: SweepFolder, own: OwnMember, members: Members) -> None:
        self.folder = folder
        self._own, self._members = own, members
        self._claims = Claims(folder.claims, own, members)

    def define(self, sweep: Sweep, provenance: dict[str, Any]) -> None:
        """Write ``sweep.json`` and ``provenance.json`` where they are not there, or the sweep has grown.

        All members have the same plan, so that it does not matter who writes last.
        """
        if not self.folder.has_provenance():
            self.folder.write_provenance(provenance)
        found = growth(self.folder, sweep)
        if found is None or found.new or found.changes or found.left_out or found.shorter:
            self.folder.define(sweep.definition())

    def jobs(self, jobs: Sequence[Job]) -> ClaimedJobs:
        """Return the queue of ``jobs`` that this process shares with the others."""
        return ClaimedJobs(jobs, self._claims, self._own.token)

    def are_made(self, run_ids: Iterable[str]) -> bool:
        """Say whether another process that may be alive has claimed one of these runs, and it is not over."""
        claims = self._claims.read()
        claimed = [run_id for run_id in run_ids if run_id in claims and not self._claims.is_own(claims[run_id])]
        held = [run_id for run_id in claimed if self._claims.holder(claims[run_id])]
        runs = [self.folder.run(run_id) for run_id in held]
        return any(not run.is_over() and not run.error.exists() for run in runs)

    @contextmanager
    def timing(self, kind: str, is_needed: Callable[[], bool], say: Callable[[str], object]) -> Iterator[bool]:
        """Let one process of this host measure on a kind of device; the others wait until nothing is left to measure.

        Yields:
            Whether this process is to measure.
        """
        key = f"{TIMING}-{hashlib.sha256(f'{gethostname()} {kind}'.encode()).hexdigest()[:12]}"
        said = ""
        while is_needed():
            raise_if_stopped()
            claim = self._claims.read().get(key)
            if holder := self._claims.holder(claim):
                if said != holder.token:
                    said = holder.token
                    say(f"waiting for {holder.described()}, which times the configurations")
                time.sleep(LOOK_SECONDS)
            elif self._claims.take(key, claim):
                try:
                    yield is_needed()
                finally:
                    self._claims.leave(key)
                return
        yield False

    def claims_report(self) -> Member | None:
        """Claim the report, and return None; or return who writes it."""
        claim = self._claims.read().get(REPORT)
        while not (holder := self._claims.holder(claim)):
            if self._claims.take(REPORT, claim):
                return None
            claim = self._claims.read().get(REPORT)
        return holder

    def leave_report(self) -> None:
        """Give up the claim on the report."""
        self._claims.leave(REPORT)


@contextmanager
def shared_folder(sweep: Sweep, *, force: bool, lease: float, say: Callable[[str], object]) -> Iterator[SharedFolder]:
    """Take part in a sweep for the block, with every other process that has the same plan.

    Raises:
        InputError: a sweep by itself, or a process with another plan, is in the folder; the folder has runs that the
            sweep does not have and ``force`` is not set; it cannot be written, or has no hard links.
    """
    folder = SweepFolder(sweep.folder)
    if not force:
        refuse_smaller(folder, sweep)
    plan, code = plan_hash(sweep), code_in_words()
    with _member(folder, plan=plan, joins=True, code=code, lease=lease) as own:
        members = Members(folder.members, own.token, lease)
        for other in _living(members, lambda other: not other.joins or other.plan != plan, say):
            if not other.joins:
                raise InputError(
                    f"{folder.path}: another sweep is running in this folder ({other.described()}), without --join; "
                    "wait for it, or use another --out"
                )
            raise InputError(
                f"{folder.path}: {other.described()} has joined with another sweep file; expected the same file and "
                f"options as there{_differences(folder, sweep)}; wait for it, or use another --out"
            )
        differs = next((other for other in members.others() if other.code not in ("", code)), None)
        if differs is not None:
            say(
                f"warning: {differs.described()} has joined with other code, {differs.code}; this process has {code}: "
                "their runs may not be comparable"
            )
        members.remove_lost()
        folder.clear_attempts(run.id for run in sweep.runs)
        yield SharedFolder(folder, own, members)


@contextmanager
def folder_of_one(sweep: Sweep, folder: SweepFolder, say: Callable[[str], object]) -> Iterator[None]:
    """Take part in a sweep alone for the block.

    Raises:
        InputError: others that joined are in the folder, or a sweep on another machine is.
    """
    with _member(folder, plan=plan_hash(sweep), joins=False, code=code_in_words()) as own:
        members = Members(folder.members, own.token)
        for other in _living(members, lambda _: True, say):
            how = "processes that joined a sweep are running" if other.joins else "another sweep is running"
            remedy = "add --join, wait for them" if other.joins else "wait for it"
            line = f"{folder.path}: {how} in this folder ({other.described()}); {remedy}, or use another --out"
            raise InputError(line)
        members.remove_lost()
        yield


@contextmanager
def _member(
    folder: SweepFolder, *, plan: str, joins: bool, code: str, lease: float = LEASE_SECONDS
) -> Iterator[OwnMember]:
    try:
        own = OwnMember(folder.members, plan=plan, joins=joins, code=code, lease=lease)
    except OSError as error:
        needs = "; --join needs a folder with hard links that every process can write" if joins else ""
        why = f"results cannot be written here: {error.strerror}{needs}"
        raise InputError(f"{folder.path}: {why}; use another --out") from None
    try:
        yield own
    finally:
        own.leave()
        if not folder.members.exists():
            remove_claims(folder.claims)
            with suppress(OSError):
                folder.members.parent.rmdir()


def _living(members: Members, concerns: Callable[[Member], bool], say: Callable[[str], object]) -> Iterator[Member]:
    """Yield the members that matter and are seen to live; wait until it is known of each that may."""
    said = False
    while others := [member for member in members.others() if concerns(member)]:
        for member in others:
            if members.lives(member.token) or members.is_here(member):
                yield member
        if not said:
            said = True
            say(f"looking whether {others[0].described()}, which has not left this folder, is alive")
        time.sleep(BEAT_SECONDS / 2)


def _differences(folder: SweepFolder, sweep: Sweep) -> str:
    found = growth(folder, sweep)
    return f" ({'; '.join(found.changes)[:120]})" if found and found.changes else ""
