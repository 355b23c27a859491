"""``lipschitz report``: write the tables, plots and page of a sweep's results, and print the warnings."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lipschitz.commands.progress_lines import progress_lines
from lipschitz.errors import printable
from lipschitz.report.plots.gallery import PANELS
from lipschitz.report.write import report

PROGRESS_SECONDS = 5.0
"""Shortest time between two lines that say how far a report is."""


def write_report(
    folder: Path,
    console: Console,
    *,
    all_figures: bool = False,
    beside: Path | None = None,
    reach: Sequence[str] = (),
    plot_files: Sequence[str] = (),
) -> None:
    """Write everything into ``folder``; the arguments are those of `lipschitz.report.write.report`.

    Raises:
        InputError: there is nothing to report, or an argument is wrong.
    """
    limit = None if all_figures else PANELS
    with progress_lines("report", every=PROGRESS_SECONDS, quiet=console.quiet) as progress:
        warnings = report(
            folder, limit_panels=limit, beside=beside, reach=reach, plot_files=plot_files, progress=progress
        )
    for line in warnings:
        console.print(f"warning: {printable(line)}", style="yellow", soft_wrap=True)
    console.print(printable(f"report: {folder / 'index.html'}"), soft_wrap=True)
