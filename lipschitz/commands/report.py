"""``lipschitz report``: write the tables, plots and page of a sweep's results, or a page over several folders."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lipschitz.commands.progress_lines import progress_lines
from lipschitz.errors import InputError, printable
from lipschitz.report.paper import FOLDER
from lipschitz.report.plots.gallery import PANELS
from lipschitz.report.site.page import write_site
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
    for_paper: bool = False,
    style: str | None = None,
    metrics: str | None = None,
) -> None:
    """Write everything into ``folder``; the arguments are those of `lipschitz.report.write.report`.

    ``metrics`` are separated by commas.

    Raises:
        InputError: there is nothing to report, or an argument is wrong.
    """
    for name, value in (("style", style), ("metrics", metrics)):
        if value is not None and not for_paper:
            raise InputError(f"--{name} {value}: is for --paper; expected both")
    columns = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    if metrics is not None and not columns:
        raise InputError("--metrics: no metric is named; expected names of summary.csv, for example w1,lipschitz_upper")
    with progress_lines("report", every=PROGRESS_SECONDS, quiet=console.quiet) as progress:
        warnings = report(
            folder,
            limit_panels=None if all_figures else PANELS,
            beside=beside,
            reach=reach,
            plot_files=plot_files,
            for_paper=for_paper,
            style=style,
            metrics=columns,
            progress=progress,
        )
    for line in warnings:
        console.print(f"warning: {printable(line)}", style="yellow", soft_wrap=True)
    console.print(printable(f"report: {folder / 'index.html'}"), soft_wrap=True)
    if for_paper:
        console.print(printable(f"for a paper: {folder / FOLDER}"), soft_wrap=True)


def one_folder(folders: Sequence[Path]) -> Path:
    """Return the only one of ``folders``.

    Raises:
        InputError: there are several.
    """
    if len(folders) > 1:
        raise InputError(
            f"report: {len(folders)} folders; expected one, or --out SITE to write a page over all of them into SITE"
        )
    return folders[0]


def write_site_page(folders: Sequence[Path], out: Path, console: Console, *, given: Sequence[str] = ()) -> None:
    """Write a page over several reported folders into ``out``; ``given`` are options of the report of one folder.

    Raises:
        InputError: see `lipschitz.report.site.page.write_site`; or an option is given that is not for it.
    """
    if given:
        raise InputError(f"{given[0]}: is for the report of one folder; expected it without --out")
    with progress_lines("report", every=PROGRESS_SECONDS, quiet=console.quiet) as progress:
        progress("reading the folders")
        written = write_site(folders, out)
    console.print(printable(f"report: {written}"), soft_wrap=True)
