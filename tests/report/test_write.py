"""A report's files: tables, CSV files, page and plots, and the warnings about runs that did not finish."""

import csv
import re
import shutil
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from conftest import Reported
from synthetic import Plan, write_sweep

from lipschitz.report.write import report

SMALL = Plan(("digits",), ("none", "gradient_penalty"), seeds=(0, 1), evaluations=2)


def written(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in ("runs", "timing")
    }


def test_reporting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, Plan(("eight_gaussians",), SMALL.constraints, seeds=(0, 1), evaluations=2))
    report(folder)
    first = written(folder)
    report(folder)
    assert written(folder) == first
    assert {"records.csv", "summary.csv", "table.md", "table.tex", "index.html"} <= first.keys()


def test_records_csv_has_every_record_with_its_labels(reported: Reported) -> None:
    with (reported.folder / "records.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    lead = ["run", "task", "dataset", "model", "constraint", "loss", "setting", "seed", "step", "seconds"]
    assert head[: len(lead)] == lead
    assert len({tuple(row[: len(lead)]) for row in rows}) == len(rows)
    cells = [cell for row in rows for cell in row[len(lead) :] if cell]
    lines = sum(len(path.read_text().splitlines()) for path in reported.folder.glob("runs/*/records.jsonl"))
    assert len(cells) == lines
    assert cells.count("nan") == 1


def test_commas_in_labels_survive_in_csv(tmp_path: Path) -> None:
    label = 'none+gradient_penalty(weight=1, "x")'
    folder = write_sweep(tmp_path, Plan(("digits",), ("none", label), seeds=(0,), evaluations=2, pictures=False))
    report(folder, limit_panels=0)
    for name in ("records.csv", "summary.csv"):
        assert label in set(pd.read_csv(folder / name)["constraint"])


def test_unfinished_runs_are_counted_in_a_warning(reported: Reported) -> None:
    assert len(reported.warnings) == 1
    assert "of 30 runs, 2 failed, 1 waiting" in reported.warnings[0]


def test_the_page_shows_every_figure_and_links_files_only(reported: Reported) -> None:
    page = (reported.folder / "index.html").read_text()
    sources = re.findall(r'src="([^"]+)"', page)
    assert len(sources) >= 19
    assert set(sources) == {f"plots/{path.name}" for path in (reported.folder / "plots").glob("*.svg")}
    images = re.findall(r"<img [^>]+>", page)
    assert all(re.search(r' width="\d+" height="\d+" ', image) for image in images)
    tables = {path.name for path in (reported.folder / "plots").glob("*.csv")}
    assert set(re.findall(r'data-csv="plots/([^"]+)"', page)) == tables
    assert len(tables) > 10
    links = [link for link in re.findall(r'href="([^"]+)"', page) if not link.startswith(("#", "data:"))]
    assert all((reported.folder / link).is_file() for link in links)
    assert not re.search(r'(?:src|href)="(?:https?:)?//|@import|url\(', page)
    assert "0123456789abcdef0123456789abcdef01234567" in page
    assert "n_real: 2000" in page
    assert "Lip(D) lies between" in page
    assert "is a lower bound" not in page


def test_the_page_begins_with_final_quality_and_a_sentence_from_the_test(reported: Reported) -> None:
    page = (reported.folder / "index.html").read_text()
    first, second, table = (page.index(text) for text in ('id="final"', "Welch&#39;s test at 5 %", "Overview:"))
    assert first < page.index('src="plots/final_quality_eight_gaussians.svg"') < table
    assert first < second < table
    assert len(re.findall("<details[ >]", page)) == page.count("</details>") > 20


def test_the_page_escapes_labels(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, Plan(("digits",), ("none", "<b>&bold"), seeds=(0,), evaluations=1, pictures=False))
    report(folder, limit_panels=0)
    page = (folder / "index.html").read_text()
    assert "&lt;b&gt;&amp;bold" in page
    assert "<b>&bold" not in page


def test_a_sweep_without_a_finished_run_is_reported(tmp_path: Path) -> None:
    ends = {("digits", name, seed): "running" for name in SMALL.constraints for seed in (0, 1)}
    folder = write_sweep(tmp_path, Plan(("digits",), SMALL.constraints, seeds=(0, 1), ends=ends))
    shutil.rmtree(folder / "timing")
    (folder / "provenance.json").unlink()
    assert len(report(folder)) == 1
    assert pd.read_csv(folder / "summary.csv").empty


def test_a_sweep_with_diverged_runs_only_is_drawn(tmp_path: Path) -> None:
    ends = {("eight_gaussians", "none", seed): "diverged" for seed in (0, 1)}
    folder = write_sweep(tmp_path, Plan(("eight_gaussians",), ("none",), seeds=(0, 1), ends=ends))
    assert report(folder) == []
    assert "none  (n = 0, 2 diverged)" in (folder / "plots" / "quality_by_step_eight_gaussians.svg").read_text()


def test_unknown_files_in_plots_are_named_and_kept(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, SMALL)
    (folder / "plots").mkdir()
    (folder / "plots" / "mine.png").write_bytes(b"")
    warnings = report(folder, limit_panels=0)
    assert "mine.png" in warnings[-1]
    assert (folder / "plots" / "mine.png").exists()


def test_the_settings_of_matplotlib_are_not_changed(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, SMALL)
    with mpl.rc_context({"font.size": 31.0, "lines.linewidth": 9.0}):
        report(folder, limit_panels=1)
        assert (mpl.rcParams["font.size"], mpl.rcParams["lines.linewidth"]) == (31.0, 9.0)


@pytest.mark.parametrize("name", ["records.csv", "index.html"])
def test_no_temporary_file_is_left(reported: Reported, name: str) -> None:
    assert (reported.folder / name).stat().st_size > 0
    assert not list(reported.folder.rglob(".*"))
