"""``lipschitz status``: print how every run of a sweep is: finished, running, failed, diverged, damaged or waiting."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from lipschitz.commands.silence import Silence, Watched
from lipschitz.errors import printable
from lipschitz.process_identity import is_gone
from lipschitz.sweep.heartbeat import Beat, Heartbeat
from lipschitz.sweep.joining.claims import read_claims
from lipschitz.sweep.joining.members import Member, Members, read_member
from lipschitz.sweep.progress_text import progress_text
from lipschitz.sweep.reported_runs import read_reported_runs
from lipschitz.sweep.run_folder import OVER, RunFolder, Status
from lipschitz.sweep.store import SweepFolder

WATCH_SECONDS = 2.0
"""Time between two looks at the runs that are watched."""
HANGS_SECONDS = 600.0
"""Time without a step above which a run is said to hang, by default."""


def show_status(
    folder: Path,
    *,
    only_begun: bool = False,
    disk: bool = False,
    hangs: float = HANGS_SECONDS,
    watched: Watched | None = None,
) -> Counter[str]:
    """Print a line per run, with how far it has come, the file of its error or what is damaged; count by status.

    A run that is made by one of several processes that joined is shown with its holder. One that waits although it has
    begun was interrupted. Of a results folder without ``runs/``, it is printed how the runs were when they were last
    reported. Nothing is locked or written.

    Args:
        folder: of the sweep.
        only_begun: leave out runs that are over, and those that have not begun.
        disk: print what the sweep takes on the disk, too.
        hangs: seconds without a step after which a run is said to hang.
        watched: what was seen of the heartbeats before, where this is called again and again.

    Returns:
        The number of runs by status.

    Raises:
        InputError: there is no sweep in the folder.
    """
    sweep = SweepFolder.open(folder)
    reported = read_reported_runs(sweep)
    counts: Counter[str] = Counter()
    holders, lines = holders_of(sweep), []
    # A sweep by itself claims no runs.
    alone = next((member for member in Members(sweep.members).all() if not member.joins), None)
    for run_id in sweep.run_ids():
        if reported is None:
            run, holder = sweep.run(run_id), holders.get(run_id)
            found = run.status(is_claimed=holder is not None)
            maker = holder or alone
            silence = Silence(hangs, watched, sweep.members / maker.token if maker else None)
            status, more = str(found), _reached(run, found, holder, silence) + _reason(run, found)
        else:
            status, more = reported.status(run_id), ""
        counts[status] += 1
        if not only_begun or more:
            lines.append(printable(f"{status:9}{run_id}{more}"))
    # One write: of thousands of runs each would take its time.
    print("\n".join(lines) + "\n" * bool(lines), end="")
    planned = set(sweep.run_ids())
    if others := [name for name in sweep.run_folders() if name not in planned]:
        number = f"{len(others)} folder{'' if len(others) == 1 else 's'}"
        print(printable(f"{number} in {folder / 'runs'} not of this plan, and not reported; the first: {others[0]}"))
    runs = counts.total()
    print(f"{runs} run{'' if runs == 1 else 's'}: " + ", ".join(f"{n} {status}" for status, n in counts.most_common()))
    if disk:
        print(disk_line(folder))
    return counts


def holders_of(sweep: SweepFolder) -> dict[str, Member]:
    """Return by run which process that joined makes it, as far as that has not left and is not known to be gone."""
    found = {}
    for run_id, claim in read_claims(sweep.claims).items():
        member = claim.member and read_member(sweep.members / claim.member.token)
        if member and not is_gone(member.identity):
            found[run_id] = member
    return found


def disk_line(folder: Path) -> str:
    """Return what a sweep's folder takes on the disk, and what is free there."""
    sizes: Counter[str] = Counter()
    files = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found = os.lstat(os.path.join(place, name))  # noqa: PTH118  # a hundred thousand files
                sizes[_kind(name)] += found.st_blocks * 512 // max(1, found.st_nlink)
                files += 1
    parts = ", ".join(f"{kind} {_size(size)}" for kind, size in sizes.most_common())
    free = _size(shutil.disk_usage(folder).free)
    return f"{_size(sizes.total())} in {files:,} files ({parts}); {free} are free"


def _kind(name: str) -> str:
    kinds = {"networks.pt": "networks", "records.jsonl": "records", "samples.npz": "samples"}
    return "checkpoints" if name.startswith("checkpoint") else kinds.get(name, "other")


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def watch_status(
    folder: Path, console: Console, wait: Callable[[float], object] = time.sleep, hangs: float = HANGS_SECONDS
) -> None:
    """Print the status of the runs that have begun and are not over, again and again, until none is running.

    Raises:
        InputError: there is no sweep in the folder.
    """
    watched = Watched()
    while True:
        console.clear()
        if not show_status(folder, only_begun=True, hangs=hangs, watched=watched)["running"]:
            return
        wait(WATCH_SECONDS)


def _reached(run: RunFolder, status: Status, holder: Member | None, silence: Silence) -> str:
    """Return how far a run that is not over has come, as far as its heartbeat tells, and who makes it."""
    if status in OVER:
        return ""
    found, is_running = last_beat(run, holder), status == "running"
    by = f", {holder.described()}" if holder and is_running else ""
    if found is None:
        return f"  {by[2:]}" if by else ""
    heartbeat, beat = found
    interrupted = "interrupted, " if status == "waiting" else ""
    # The host of the heartbeat is that of the holder.
    where = beat if not by else beat._replace(host="")
    silent = silence.in_words(heartbeat, beat) if is_running else ""
    return f"  {interrupted}{progress_text(where, is_running=is_running)}{by}{silent}"


def last_beat(run: RunFolder, holder: Member | None) -> tuple[Heartbeat, Beat] | None:
    """Return the heartbeat of the attempt that the holder makes, or that of the one that has come farthest."""
    attempts = run.attempts()
    own = [path for path in attempts if holder and path.name.startswith(f"attempt-{holder.token}-")]
    hearts = [Heartbeat.of(path) for path in own or attempts] + ([] if own else [run.heartbeat])
    beats = [(heart, beat) for heart in hearts if (beat := heart.read())]
    return max(beats, key=lambda found: found[1].step, default=None)


def _reason(run: RunFolder, status: Status) -> str:
    """Return why a run failed or what is damaged, in parentheses."""
    if status == "damaged":
        return "".join(f"  ({path.name}: {reason})" for path, reason in run.damage()[:1])
    return f"  ({run.error})" if status == "failed" else ""
