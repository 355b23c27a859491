"""``lipschitz status``: print the status of every run of a sweep: finished, running, failed, diverged or waiting."""

from collections import Counter
from pathlib import Path

from lipschitz.errors import printable
from lipschitz.sweep.store import SweepFolder


def show_status(folder: Path) -> None:
    """Print a line per run, with the file of its error if it failed, then the number of runs by status.

    Raises:
        InputError: there is no sweep in the folder.
    """
    sweep = SweepFolder.open(folder)
    counts: Counter[str] = Counter()
    for run_id in sweep.run_ids():
        run = sweep.run(run_id)
        status = run.status()
        counts[status] += 1
        print(printable(f"{status:9}{run_id}{f'  ({run.error})' if status == 'failed' else ''}"))
    runs = counts.total()
    print(f"{runs} run{'' if runs == 1 else 's'}: " + ", ".join(f"{n} {status}" for status, n in counts.most_common()))
