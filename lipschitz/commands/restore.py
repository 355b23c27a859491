"""``lipschitz restore``: make the folders of finished runs again from a report, so that a sweep can go on from it."""

from pathlib import Path

from rich.console import Console

from lipschitz.commands.progress_lines import progress_lines
from lipschitz.errors import printable


def restore_runs(folder: Path, console: Console) -> None:
    """Restore the runs of a folder, and say how many.

    Raises:
        InputError: see `lipschitz.report.restore.restore`.
    """
    with progress_lines("restore", quiet=console.quiet) as progress:
        progress("reading the report")
        # pandas takes most of a second to load.
        from lipschitz.report.restore import restore

        runs, others = restore(folder)
    waiting = f"; {others} of the plan are left to train" if others else ""
    line = f"{folder / 'runs'}: {runs} finished runs, without their networks{waiting}"
    console.print(printable(line), soft_wrap=True, markup=False, highlight=False)
