"""Numbers and figures that the documents quote stand in committed results, in a folder that the same section links."""

import re
from functools import cache
from pathlib import Path

import pytest

from lipschitz.checksums import read_sealed

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))]
TEXTS = {".md", ".csv", ".json", ".html"}
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
NUMBER = re.compile(r"(?<![\w.²^/])\d+\.\d+(?:e[-+]?\d+)?(?![\w.]*\d)(?!\w)")
INTERVAL = re.compile(r"\d[\d.]*(?:e[-+]\d+)? ± \d[\d.]*\d(?:e[-+]\d+)?|\d+ ± \d+")
NOT_MEASURED = {
    "README.md": {"0.02", "0.01"},
    # Of published numbers: 9.31 / 4.82 and 9.31 / 4.98.
    "docs/findings.md": {"0.02", "0.01", "1.93", "1.87"},
    "docs/running.md": {"3.25", "6.75"},
}
"""Numbers of the definition of a method, a start or a figure, and ratios of published numbers, by document."""


def sections(document: str) -> list[tuple[str, str]]:
    """Return the headings and texts of a document, without code."""
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(), flags=re.DOTALL)
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return [(part.partition("\n")[0], part) for part in parts]


def linked(document: str, text: str) -> list[Path]:
    """Return the existing paths below results/ that a text links."""
    found = []
    for target in LINK.findall(text):
        if "://" not in target:
            path = ((ROOT / document).parent / target).resolve()
            if path.is_relative_to(ROOT / "results"):
                found.append(path)
    return found


@cache
def tokens(folder: Path) -> frozenset[str]:
    """Return every number in the text files of a results folder, records apart."""
    texts = (
        path.read_text() for path in sorted(folder.rglob("*")) if path.suffix in TEXTS and path.name != "records.csv"
    )
    return frozenset(token for text in texts for token in re.findall(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", text))


@cache
def values(folder: Path) -> tuple[float, ...]:
    """Return the values of `tokens`."""
    return tuple(float(token) for token in tokens(folder))


@cache
def tables(folder: Path) -> str:
    """Return the text of all Markdown and HTML files of a results folder."""
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.suffix in (".md", ".html"))


def folders(document: str, text: str) -> list[Path]:
    """Return the results folders that a section links, or else those that the document links."""
    paths = linked(document, text) or linked(document, (ROOT / document).read_text())
    return sorted({ROOT / "results" / path.relative_to(ROOT / "results").parts[0] for path in paths})


def quoted(pattern: re.Pattern[str]) -> list[tuple[str, str, str, str]]:
    """Return document, heading, text and number of everything that matches, once a section."""
    found = []
    for document in DOCUMENTS:
        for heading, text in sections(document):
            plain = re.sub(r"`[^`]*`", "", re.sub(r"\]\([^)]*\)|arXiv:[\d.]+|doi:\S+", "]", text))
            found += [(document, heading, text, one) for one in sorted(set(pattern.findall(plain)))]
    return found


@pytest.mark.parametrize("case", quoted(INTERVAL), ids=lambda case: f"{case[0]}:{case[3]}")
def test_every_interval_is_in_a_linked_result(case: tuple[str, str, str, str]) -> None:
    document, heading, text, interval = case
    assert any(interval in tables(folder) for folder in folders(document, text)), f"{document}, {heading}: {interval}"


@pytest.mark.parametrize("case", quoted(NUMBER), ids=lambda case: f"{case[0]}:{case[3]}")
def test_every_decimal_is_in_a_linked_result(case: tuple[str, str, str, str]) -> None:
    document, heading, text, number = case
    if not linked(document, text) or number in NOT_MEASURED.get(document, set()):
        return
    assert any(stands_in(number, folder) for folder in folders(document, text)), f"{document}, {heading}: {number}"


def stands_in(number: str, folder: Path) -> bool:
    """Return whether a results folder has the number, or one with more digits that is rounded to it."""
    if number in tokens(folder):
        return True
    digits, _, exponent = number.partition("e")
    unit = float(f"1e{int(exponent or 0) - len(digits.partition('.')[2])}")
    return any(abs(value - float(number)) <= 0.5001 * unit for value in values(folder))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_figure_is_a_committed_result_with_its_provenance(document: str) -> None:
    for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / document).read_text()):
        path = ((ROOT / document).parent / target).resolve()
        assert path.is_file(), f"{document}: {target}"
        folder = ROOT / "results" / path.relative_to(ROOT / "results").parts[0]
        assert any(folder.glob("*.json")), f"{document}: {target} has no provenance beside it"


def test_no_result_names_a_place_of_the_machine_that_measured_it() -> None:
    texts = [path for path in (ROOT / "results").rglob("*") if path.suffix in TEXTS and "runs" not in path.parts]
    places = re.compile(r"(?<![\w.])/(?:home|work|tmp|root|Users)/")
    assert not [path for path in texts if places.search(path.read_text())]


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/runs.json")), ids=lambda path: path.parent.name)
def test_the_runs_of_a_report_are_those_that_it_wrote(path: Path) -> None:
    assert read_sealed(path, path.name)["runs"]
