"""``lipschitz status``: print how every run of a sweep is: finished, running, failed, diverged, damaged or waiting."""

import time
from collections import Counter
from pathlib import Path

from lipschitz.errors import printable
from lipschitz.sweep.reported_runs import read_reported_runs
from lipschitz.sweep.run_folder import OVER, RunFolder, Status
from lipschitz.sweep.store import SweepFolder

SILENT_SECONDS = 60.0
"""Age of a running run's last heartbeat above which it is shown."""


def show_status(folder: Path) -> None:
    """Print a line per run, with the step it has reached, the file of its error or what is damaged; count by status.

    A run that waits although it has begun was interrupted. Of a results folder without ``runs/``, it is printed how the
    runs were when they were last reported.

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
        print(printable(f"{status:9}{run_id}{more}"))
    runs = counts.total()
    print(f"{runs} run{'' if runs == 1 else 's'}: " + ", ".join(f"{n} {status}" for status, n in counts.most_common()))


def _reached(run: RunFolder, status: Status) -> str:
    """Return how far a run that is not over has come, as far as its heartbeat tells."""
    beat = run.heartbeat.read()
    if status in OVER or beat is None:
        return ""
    silent = time.time() - beat.time
    since = f", no sign of life for {silent / 60:.0f} min" if status == "running" and silent > SILENT_SECONDS else ""
    interrupted = "interrupted, " if status == "waiting" else ""
    return f"  {interrupted}step {beat.step} of {beat.steps}{since}"


def _reason(run: RunFolder, status: Status) -> str:
    """Return why a run failed or what is damaged, in parentheses."""
    if status == "damaged":
        return "".join(f"  ({path.name}: {reason})" for path, reason in run.damage()[:1])
    return f"  ({run.error})" if status == "failed" else ""
