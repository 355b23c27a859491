"""Write the report of a sweep into its folder: csv files, tables, figures, bibliography and page."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from lipschitz.files import write_bytes, write_text
from lipschitz.report import budgets
from lipschitz.report.page import page
from lipschitz.report.paper import FOLDER, TABLE, write_paper
from lipschitz.report.plots.base import registered_plots
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.gallery import PANELS, Picture, gallery
from lipschitz.report.plots.look import check_style
from lipschitz.report.published import classifier_tables, critic_tables, image_tables, ranks
from lipschitz.report.reading.comparisons import LABELS
from lipschitz.report.reading.results import TUNING, Results, load
from lipschitz.report.reading.tuning import PICKED, add_picked_column
from lipschitz.report.reading.value_tables import write_values
from lipschitz.report.references import bibliography, citations, latex_comments
from lipschitz.report.statistics.against_none import compare_with_none, is_tested_task
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.statistics.time_to_target import check_targets, parse_targets
from lipschitz.report.tables.average_rank import table as average_rank_table
from lipschitz.report.tables.build import build
from lipschitz.report.tables.markdown_and_latex import latex, markdown
from lipschitz.report.tables.metrics_table import metrics_table
from lipschitz.report.tables.robustness import table as robustness_table
from lipschitz.report.written_by import written_by
from lipschitz.sweep.reported_runs import write_arrays, write_reported_runs

SIGNIFICANCE = "significance.csv"
"""Tests of classifiers, GANs and critics against the network without a constraint."""


def report(
    folder: Path,
    *,
    limit_panels: int | None = PANELS,
    beside: Path | None = None,
    reach: Sequence[str] = (),
    plot_files: Sequence[str] = (),
    for_paper: bool = False,
    style: str | None = None,
    metrics: Sequence[str] = (),
    progress: Callable[[str], object] = lambda step: None,
) -> list[str]:
    """Write ``records.csv``, ``summary.csv``, tables, ``references.bib``, ``plots/`` and ``index.html`` into a folder.

    Without ``runs/`` it is made again from ``sweep.json``, ``runs.json``, ``records.csv``, ``outcomes.csv`` and
    ``arrays.npz`` of an earlier report. A sweep of one of the package's own tasks has ``significance.csv``,
    too. The same runs give the same bytes by the same code. Each file is replaced atomically.

    Args:
        folder: the results folder of a sweep.
        limit_panels: about how many panels to draw in all; None draws every figure of every comparison.
        beside: the results of another sweep of the same critics at other budgets, to compare with.
        reach: target qualities, each ``METRIC=VALUE``; tables show the steps and seconds to reach them.
        plot_files: files with plots of the user, as `registered_plots` takes them. Their code is executed.
        for_paper: whether to write the figures for a paper, too: see `write_paper`.
        style: the reader's own style of matplotlib for these; see `check_style`.
        metrics: columns of a LaTeX table for a paper, ``paper/table.tex``: see `metrics_table`.
        progress: called with what is done next, in a few words.

    Returns:
        Warnings, one line each: what could not be read, what did not finish, what was left out.

    Raises:
        InputError: there is no sweep in ``folder``, or it has no run to report; or no ``summary.csv`` in ``beside``; or
            a target is not ``METRIC=VALUE``, or its metric was not recorded; or a file of plots cannot be used; or
            there is no such style, or one of ``metrics`` was not recorded.
    """
    if style is not None:
        check_style(style)
    other = None if beside is None else budgets.read_other_sweep(beside)
    warnings: list[str] = []
    registered = registered_plots(warnings, plot_files)
    progress("reading runs")
    results = load(folder)
    # Beside the commit that trained the runs.
    results.provenance["report written by"] = written_by()
    # After loading: a run may record metrics of its own.
    targets = parse_targets(reach)
    check_targets(targets, results)
    summary = Summary(results)
    warnings += [*results.warnings, *_unfinished(summary)]
    progress("making tables")
    table_for_paper = metrics_table(summary, metrics) if metrics else ""
    tests = compare_with_none(summary)
    tables, data = build(summary, targets, tests), SweepData(summary)
    across = [average_rank_table(data.average_ranks)] if data.average_ranks else []
    across += [robustness_table(settings) for settings in data.settings]
    across += [table for family in data.families for table in (*critic_tables.tables(family), *ranks.tables(family))]
    across += image_tables.tables(summary) + classifier_tables.tables(summary)
    if other is not None:
        compared = [table for family in data.families for table in budgets.tables(family, other)]
        if not compared:
            warnings.append(f"{beside}: no critic (task transport) in common with {folder}; nothing is compared")
        across = [*compared, *across]
    _write_csv(folder / "summary.csv", add_picked_column(summary.frame, results.runs))
    if results.runs["task"].map(is_tested_task).any():
        _write_csv(folder / SIGNIFICANCE, tests)
    write_text(folder / "table.md", markdown([*across, *tables], results.name, results.warnings))
    cited = citations(summary)
    write_text(folder / "references.bib", bibliography(cited))
    write_text(folder / "table.tex", latex([*across, *tables], latex_comments(cited)))
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    pictures = []
    progress("drawing figures")
    for picture in gallery(data, registered, limit_panels, warnings):
        pictures.append(_written(plots, picture))
        progress(f"figure {len(pictures)} drawn: {picture.name}")
    progress("writing the page")
    write_text(folder / "index.html", page(data, tables, across, pictures, cited, warnings))
    drawn = {f"{picture.name}.{kind}" for picture in pictures for kind in picture.files}
    warnings += _stale(plots, drawn)
    if table_for_paper:
        (folder / FOLDER).mkdir(exist_ok=True)
        write_text(folder / FOLDER / TABLE, table_for_paper)
    if for_paper:
        progress("drawing figures for a paper")
        written = write_paper(folder, data, registered, limit_panels, style)
        warnings += _stale(folder / FOLDER, {path.name for path in written})
    progress("writing the records")
    _write_runs(folder, results)
    return warnings


def _write_runs(folder: Path, results: Results) -> None:
    """Write all from which the report can be made again without ``runs/``: csv files, ``arrays.npz``, ``runs.json``.

    ``arrays.npz`` has what the figures of this report showed. Without ``runs/`` it stays as it is: another report may
    have shown more.
    """
    files = []
    for prefix, part in (("", results), (TUNING, results.tuning)):
        if part is not None:
            runs = part.runs[[*LABELS, "seed", *([PICKED] if part.runs[PICKED].any() else [])]]
            write_values(folder / f"{prefix}records.csv", part.records, runs)
            of_ends = runs.join(part.runs[["steps", "batch_size"]])
            write_values(folder / f"{prefix}outcomes.csv", part.outcomes, of_ends)
            files += [f"{prefix}records.csv", f"{prefix}outcomes.csv"]
    if results.folder.has_runs():
        write_arrays(folder, results.shown_arrays)
    write_reported_runs(folder, results.everything_reported(), files)


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def _written(plots: Path, picture: Picture) -> Picture:
    for kind, content in picture.files.items():
        write_bytes(plots / f"{picture.name}.{kind}", content)
    return picture


def _unfinished(summary: Summary) -> list[str]:
    """Return a warning if runs of the plan did not end."""
    found = summary.overview
    counts = ", ".join(
        f"{found[status]} {status}" for status in ("failed", "running", "waiting", "damaged") if status in found
    )
    return [f"of {found['planned']} runs, {counts}: these are not in the tables"] if counts else []


def _stale(plots: Path, drawn: set[str]) -> list[str]:
    """Return a warning if ``plots`` holds figures that this report did not draw."""
    found = sorted(path.name for path in plots.iterdir() if path.suffix in {".svg", ".pdf", ".png", ".csv"})
    old = [name for name in found if name not in drawn]
    if not old:
        return []
    return [f"{plots}: {len(old)} files were not written by this report and may be out of date; the first: {old[0]}"]
