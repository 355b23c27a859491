"""A page over several results folders: what they are, the same methods side by side, errors in one line."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import lipschitz
from headless_browser import CUT_ELEMENTS, headless_browser, opened
from synthetic import Plan, write_sweep

from lipschitz.errors import InputError
from lipschitz.report.site.page import write_site
from lipschitz.report.site.reported_folder import read_folder
from lipschitz.report.write import report

METHODS = ("none", "gradient_penalty", "spectral_normalization")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two budgets; the second has a diverged seed, one method more and one data set fewer, and another device."""
    root = tmp_path_factory.mktemp("site")
    short = write_sweep(root / "short", Plan(constraints=METHODS, pictures=False, seeds=(0, 1), evaluations=2))
    ends = {("digits", "none", 1): "diverged"}
    plan = Plan(("digits",), (*METHODS, "aol"), pictures=False, evaluations=3, ends=ends)
    long = write_sweep(root / "long run", plan)
    facts = json.loads((long / "provenance.json").read_text()) | {"device": "cuda: synthetic"}
    (long / "provenance.json").write_text(json.dumps(facts))
    for folder in (short, long):
        report(folder, limit_panels=0)
    return [short, long]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless_browser() as started:
        yield started


def rows_of(page: str, title: str) -> list[list[str]]:
    """Return the texts of the first table after ``title``."""
    table = page[page.index(title) :].partition("<table")[2].partition("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row, re.DOTALL)]
        for row in rows
    ]


def test_the_page_lists_the_folders_with_links_to_their_pages(folders: list[Path], tmp_path: Path) -> None:
    written = write_site(folders, tmp_path / "site")
    page = written.read_text()
    links = [link for link in re.findall(r'href="([^"]+)"', page) if not link.startswith("data:")]
    assert [(written.parent / link.replace("%20", " ")).resolve() for link in links] == [
        (folder / "index.html").resolve() for folder in folders
    ]
    _, head, short, long = rows_of(page, "<h2>Folders</h2>")
    facts = dict(zip(head, zip(short, long, strict=True), strict=True))
    assert facts["Folder"] == ("short", "long run")
    assert facts["Steps"] == ("800", "1200")
    assert facts["Seeds"] == ("2", "3")
    assert facts["Methods"] == ("3", "4")
    assert facts["Device"] == ("cpu: synthetic, 2 workers x 1 thread", "cuda: synthetic")
    assert "The folders differ in: data sets, models, methods, seeds, steps, device." in page


def test_a_shared_metric_has_the_methods_of_both_folders_side_by_side(folders: list[Path], tmp_path: Path) -> None:
    page = write_site(folders, tmp_path / "site").read_text()
    title = "Fréchet distance, reference classifier ↓"
    over, head, *rows = rows_of(page, f"<summary>{title}")
    assert [text for text in over if text] == [title]
    assert head == ["Constraint", "short", "long run"]
    assert [row[0] for row in rows] == [*METHODS, "real data"]
    for row in rows[:-1]:
        for folder, text in zip(folders, row[1:], strict=True):
            values = read_folder(folder).values
            chosen = (
                (values["constraint"] == row[0])
                & (values["metric"] == "frechet_classifier")
                & (values["dataset"] == "digits")
            )
            (mean,) = values.loc[chosen, "mean"]
            assert float(text.split()[0]) == pytest.approx(mean, rel=0.06)
    assert rows[0][2].endswith("(1 diverged)")
    assert "In one folder alone, and not shown: 1 rows." in page
    assert "Steps: short: 800; long run: 1200." in page
    assert "<h2>eight_gaussians</h2>" not in page


def test_models_that_differ_between_folders_are_named_once(folders: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "wide"
    shutil.copytree(folders[1], other)
    table = (other / "summary.csv").read_text()
    (other / "summary.csv").write_text(table.replace("dcgan(width=16)", "dcgan(width=64)"))
    page = write_site([folders[0], other], tmp_path / "site").read_text()
    assert "Model: short: dcgan(width=16); wide: dcgan(width=64)." in page
    assert [row[0] for row in rows_of(page, "<summary>Fréchet")[2:-1]] == list(METHODS)


def test_a_folder_of_an_early_version_is_read_from_its_tables(tmp_path: Path) -> None:
    results = Path(__file__).parents[2] / "results"
    page = write_site([results / "mnist", results / "fashion_mnist"], tmp_path / "site").read_text()
    assert "<h2>Folders</h2>" in page
    assert ">mnist</a>" in page


def test_errors_are_one_line_and_write_nothing(folders: list[Path], tmp_path: Path) -> None:
    twin = tmp_path / "twin" / "short"
    shutil.copytree(folders[0], twin)
    plain = tmp_path / "plain"
    plain.mkdir()
    unreported = write_sweep(tmp_path / "unreported", Plan(("digits",), ("none",), seeds=(0,), pictures=False))
    (tmp_path / "file").write_text("")
    out = tmp_path / "site"
    cases: list[tuple[list[Path], Path, str]] = [
        ([folders[0], twin], out, "both are named short"),
        ([folders[0], tmp_path / "none"], out, f"{tmp_path / 'none'}: not found; expected a folder of results"),
        ([folders[0], plain], out, f"{plain}: no results of a sweep here"),
        ([folders[0], unreported], out, f"{unreported / 'summary.csv'}: not found; `lipschitz report"),
        ([folders[0]], out, "expected two folders or more"),
        (folders, folders[0], "is a results folder, whose page would be lost"),
        (folders, tmp_path / "file", "is a file"),
    ]
    for given, target, expected in cases:
        before = (folders[0] / "index.html").read_bytes()
        with pytest.raises(InputError) as caught:
            write_site(given, target)
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not out.exists()
        assert (folders[0] / "index.html").read_bytes() == before


def test_the_command_writes_the_page_and_refuses_what_is_not_for_it(folders: list[Path], tmp_path: Path) -> None:
    done = lipschitz("report", *folders, "--out", "site", cwd=tmp_path)
    assert (done.returncode, done.stdout.split()[-1]) == (0, "site/index.html")
    assert (tmp_path / "site" / "index.html").is_file()
    for arguments, expected in (
        (folders, "report: 2 folders; expected one, or --out SITE"),
        ([*folders, "--out", "other", "--paper"], "--paper: is for the report of one folder"),
    ):
        done = lipschitz("report", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert expected in done.stderr
        assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("width", [420, 1400])
def test_the_page_sorts_in_a_browser_without_cuts_or_requests(
    folders: list[Path], browser: Any, tmp_path: Path, width: int
) -> None:
    with opened(browser, write_site(folders, tmp_path / "site"), width) as found:
        table = found.page.locator("table.sortable").nth(1)
        found.page.evaluate("document.addEventListener('sort-end', () => { window.isSorted = true; })")
        table.locator("thead tr:last-child th").nth(1).click()
        found.page.wait_for_function("() => window.isSorted")
        values = table.locator("tbody td:nth-child(2)").all_inner_texts()
        numbers = [float(text.split()[0]) for text in values]
        assert len(numbers) == len(METHODS)
        assert numbers == sorted(numbers, reverse=True)
        assert found.page.evaluate("document.documentElement.scrollWidth") == width
        assert found.page.evaluate(CUT_ELEMENTS) == []
        assert (found.messages, len(found.requests)) == ([], 1)
