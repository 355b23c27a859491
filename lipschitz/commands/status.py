"""``lipschitz status``: print how every run of a sweep is: finished, running, failed, diverged, damaged or waiting."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from lipschitz.errors import printable
from lipschitz.sweep.progress_text import progress_text
from lipschitz.sweep.reported_runs import read_reported_runs
from lipschitz.sweep.run_folder import OVER, RunFolder, Status
from lipschitz.sweep.store import SweepFolder

WATCH_SECONDS = 2.0
"""Time between two looks at the runs that are watched."""
SILENT_SECONDS = 60.0
"""Age of a running run's last heartbeat above which it is shown."""


def show_status(folder: Path, *, only_begun: bool = False) -> Counter[str]:
    """Print a line per run, with how far it has come, the file of its error or what is damaged; count by status.

    A run that waits although it has begun was interrupted. Of a results folder without ``runs/``, it is printed how the
    runs were when they were last reported.

    Args:
        folder: of the sweep.
        only_begun: leave out runs that are over, and those that have not begun.

    Returns:
        The number of runs by status.

    Raises:
        InputError: there is no sweep in the folder.
    """
    sweep = SweepFolder.open(folder)
    reported = read_reported_runs(sweep)
    counts: Counter[str] = Counter()
    for run_id in sweep.run_ids():
        if reported is None:
            run = sweep.run(run_id)
            found = run.status()
            status, more = str(found), _reached(run, found) + _reason(run, found)
        else:
            status, more = reported.status(run_id), ""
        counts[status] += 1
        if not only_begun or more:
            print(printable(f"{status:9}{run_id}{more}"))
    planned = set(sweep.run_ids())
    if others := [run.path.name for run in sweep.runs() if run.path.name not in planned]:
        number = f"{len(others)} folder{'' if len(others) == 1 else 's'}"
        print(printable(f"{number} in {folder / 'runs'} not of this plan, and not reported; the first: {others[0]}"))
    runs = counts.total()
    print(f"{runs} run{'' if runs == 1 else 's'}: " + ", ".join(f"{n} {status}" for status, n in counts.most_common()))
    return counts


def watch_status(folder: Path, console: Console, wait: Callable[[float], object] = time.sleep) -> None:
    """Print the status of the runs that have begun and are not over, again and again, until none is running.

    Raises:
        InputError: there is no sweep in the folder.
    """
    while True:
        console.clear()
        if not show_status(folder, only_begun=True)["running"]:
            return
        wait(WATCH_SECONDS)


def _reached(run: RunFolder, status: Status) -> str:
    """Return how far a run that is not over has come, as far as its heartbeat tells."""
    beat = run.heartbeat.read()
    if status in OVER or beat is None:
        return ""
    silent = time.time() - beat.time
    since = f", no sign of life for {silent / 60:.0f} min" if status == "running" and silent > SILENT_SECONDS else ""
    interrupted = "interrupted, " if status == "waiting" else ""
    return f"  {interrupted}{progress_text(beat, is_running=status == 'running')}{since}"


def _reason(run: RunFolder, status: Status) -> str:
    """Return why a run failed or what is damaged, in parentheses."""
    if status == "damaged":
        return "".join(f"  ({path.name}: {reason})" for path, reason in run.damage()[:1])
    return f"  ({run.error})" if status == "failed" else ""
