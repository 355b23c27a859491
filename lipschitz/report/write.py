"""From the folder of a sweep to everything that people read and cite, written beside its runs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lipschitz.files import write_atomically, write_text
from lipschitz.report.page import page
from lipschitz.report.plots.across import figures_across
from lipschitz.report.plots.evidence import gather
from lipschitz.report.plots.gallery import PANELS, Picture, gallery
from lipschitz.report.published import agreement, image_tables, ranks
from lipschitz.report.published.critics import families
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.results import Results, load
from lipschitz.report.reading.tuning import with_picked
from lipschitz.report.references import bibliography, citations, latex_comments
from lipschitz.report.statistics.robustness import settings_of
from lipschitz.report.statistics.summary import overview, summarise
from lipschitz.report.statistics.targets import check, parse
from lipschitz.report.tables.budgets import read
from lipschitz.report.tables.budgets import tables as tables_beside
from lipschitz.report.tables.build import build
from lipschitz.report.tables.markup import latex, markdown
from lipschitz.report.tables.robustness import table as robustness

RECORD_COLUMNS = ["run", *LABELS, "seed", "step", "seconds", "metric", "value"]


def report(
    folder: Path, *, limit_panels: int | None = PANELS, beside: Path | None = None, reach: Sequence[str] = ()
) -> list[str]:
    """Write ``records.csv``, ``summary.csv``, tables, ``references.bib``, ``plots/`` and ``index.html`` into a folder.

    The same runs give the same bytes. Each file is replaced atomically.

    Args:
        folder: the results folder of a sweep.
        limit_panels: about how many panels to draw in all; None draws every figure of every comparison.
        beside: the results of another sweep, whose critics had other budgets, to compare with.
        reach: qualities to say the steps and seconds to, each ``METRIC=VALUE``.

    Returns:
        Warnings, one clear line each: what could not be read, what did not finish, what was left out.

    Raises:
        InputError: there is no sweep in ``folder``, or it has no run to report; or no ``summary.csv`` in ``beside``; or
            what is to be reached is no such quality, or was not recorded.
    """
    other = None if beside is None else read(beside)
    results = load(folder)
    targets = parse(reach)
    check(targets, results)
    warnings = [*results.warnings, *_unfinished(results)]
    summary = summarise(results)
    tables, groups = build(results, summary, targets), families(results)
    across = [table for group in groups for table in (*agreement.tables(group), *ranks.tables(group))]
    by_setting = settings_of(results)
    across = [*map(robustness, by_setting), *across]
    across += image_tables.tables(results)
    if other is not None:
        compared = [table for group in groups for table in tables_beside(group, other)]
        across = [*compared, *across]
        said = f"{beside}: no critic in common with {folder} (task transport): nothing is compared"
        warnings += [] if compared else [said]
    write_text(
        folder / "records.csv", with_picked(_records(results), results.runs).to_csv(index=False, lineterminator="\n")
    )
    write_text(folder / "summary.csv", with_picked(summary, results.runs).to_csv(index=False, lineterminator="\n"))
    write_text(folder / "table.md", markdown([*across, *tables], results.name))
    cited = citations(results)
    write_text(folder / "references.bib", bibliography(cited))
    write_text(folder / "table.tex", latex([*across, *tables], latex_comments(cited)))
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    drawn = gallery(gather(results), limit_panels, warnings, figures_across(groups, by_setting))
    pictures = [_written(plots, picture) for picture in drawn]
    write_text(folder / "index.html", page(results, tables, across, pictures, cited, warnings))
    return [*warnings, *_stale(plots, pictures)]


def _records(results: Results) -> pd.DataFrame:
    return results.labelled(results.records, [*LABELS, "seed"])[RECORD_COLUMNS]


def _written(plots: Path, picture: Picture) -> Picture:
    for kind, content in picture.files.items():
        write_atomically(plots / f"{picture.name}.{kind}", lambda file, content=content: file.write(content))  # type: ignore[misc]
    return picture


def _unfinished(results: Results) -> list[str]:
    found = overview(results)
    said = ", ".join(f"{found[status]} {status}" for status in ("failed", "running", "waiting") if status in found)
    return [f"of {found['planned']} runs, {said}: they are not in the tables"] if said else []


def _stale(plots: Path, pictures: list[Picture]) -> list[str]:
    drawn = {f"{picture.name}.{kind}" for picture in pictures for kind in picture.files}
    found = sorted(path.name for path in plots.iterdir() if path.suffix in {".svg", ".pdf", ".png"})
    old = [name for name in found if name not in drawn]
    return (
        [f"{plots}: {len(old)} files are not of this report and may be out of date, the first: {old[0]}"] if old else []
    )
