"""``lipschitz status``: print how every run of a sweep is: finished, running, failed, diverged, damaged or waiting."""

from collections import Counter
from pathlib import Path

from lipschitz.errors import printable
from lipschitz.sweep.store import RunFolder, Status, SweepFolder


def show_status(folder: Path) -> None:
    """Print a line per run, with the file of its error or what is damaged, then the number of runs by status.

    Raises:
        InputError: there is no sweep in the folder.
    """
    sweep = SweepFolder.open(folder)
    counts: Counter[str] = Counter()
    for run_id in sweep.run_ids():
        run = sweep.run(run_id)
        status = run.status()
        counts[status] += 1
        print(printable(f"{status:9}{run_id}{_reason(run, status)}"))
    runs = counts.total()
    print(f"{runs} run{'' if runs == 1 else 's'}: " + ", ".join(f"{n} {status}" for status, n in counts.most_common()))


def _reason(run: RunFolder, status: Status) -> str:
    """Return why a run failed or what is damaged, in parentheses."""
    if status == "damaged":
        return "".join(f"  ({path.name}: {reason})" for path, reason in run.damage()[:1])
    return f"  ({run.error})" if status == "failed" else ""
