"""``lipschitz report``: write the tables, plots and page of a sweep's results, and print the warnings."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lipschitz.errors import printable
from lipschitz.report.plots.gallery import PANELS
from lipschitz.report.write import report


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
    for line in report(folder, limit_panels=limit, beside=beside, reach=reach, plot_files=plot_files):
        console.print(f"warning: {printable(line)}", style="yellow", soft_wrap=True)
    console.print(printable(f"report: {folder / 'index.html'}"), soft_wrap=True)
