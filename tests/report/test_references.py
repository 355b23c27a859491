"""References: every source of the package has a BibTeX entry, and a report writes the entries of its sweep."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from synthetic import Plan, write_sweep

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.datasets.base import DATASETS
from lipschitz.extensions.origin import origin_of
from lipschitz.metrics.catalogue import CATALOGUE as METRICS
from lipschitz.models.base import MODELS
from lipschitz.report.reading.results import load
from lipschitz.report.references import bibliography, citations, known_works, works_of
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.write import report
from lipschitz.tasks.augmentation import AUGMENTATIONS
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.settings import Setting

PLAN = Plan(("digits",), ("gradient_penalty", "Decay"), seeds=(0,), evaluations=1, pictures=False)
IDENTIFIER = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:[^\s;,]+")
SOURCES = {
    "dataset": {"digits": "Alpaydin and Kaynak 1998, UCI, doi:10.24432/C50P49; the test set, as in scikit-learn"},
    "loss": {"hinge": "Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16-17"},
    "setting": {},
}
METHODS = {
    "gradient_penalty": "Gulrajani et al. 2017, arXiv:1704.00028, eq. 3",
    "Decay": "Doe & Roe 2031, 100 % of eq. 1",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The results of a sweep whose runs name their sources."""
    write_sweep(tmp_path, PLAN)
    for path in tmp_path.glob("runs/*/run.json"):
        definition = json.loads(path.read_text())
        name = definition["labels"]["constraint"]
        definition["sources"] = SOURCES | {"constraint": {name: METHODS[name]}}
        definition["outside"] = {name: {"file": "/methods/mine.py", "sha256": "ab12"}} if name == "Decay" else {}
        path.write_text(json.dumps(definition))
    return tmp_path


def sources() -> Iterator[tuple[str, str]]:
    """Yield name and source of all constraints, data sets, models, settings, losses, augmentations and metrics."""
    own = [(name, kind) for name, kind in CONSTRAINTS.items() if origin_of(kind) is None]
    for name, kind in [*own, *DATASETS.items(), *MODELS.items(), ("setting", Setting)]:
        yield name, kind.source
    for name, thing in [*LOSSES.items(), *AUGMENTATIONS.items(), *METRICS.items()]:
        yield name, thing.source


@pytest.mark.parametrize(("name", "source"), list(sources()), ids=str)
def test_every_source_of_the_package_is_in_the_bibliography(name: str, source: str) -> None:
    named = {word for work in known_works() for word in work.words}
    missing = set(IDENTIFIER.findall(source)) - named
    assert not missing, f"{name} is from {missing}: add the entry to lipschitz/report/templates/references.bib"
    if source:
        assert all(work.words for work in works_of(name, source)), f"{name}: no entry is known for '{source}'"


def test_every_entry_of_the_bibliography_is_complete() -> None:
    text = (Path(report.__code__.co_filename).parent / "templates" / "references.bib").read_text()
    works = known_works()
    assert len(works) == len(re.findall("^@", text, re.MULTILINE))
    keys = [work.key for work in works]
    assert keys == sorted(set(keys))
    assert len({work.words for work in works}) == len(works)
    for work in works:
        fields = dict(re.findall(r"^  (\w+) = \{(.+)\},$", work.bibtex, re.MULTILINE))
        assert {"author", "title", "year"} <= fields.keys(), work.key
        assert work.bibtex.count("{") == work.bibtex.count("}")
        assert work.bibtex.isascii(), "written so that every LaTeX reads it"
        # The key is the first author's surname, the year and a word of the title.
        surname = re.sub(r"\\.|[^a-z]", "", fields["author"].partition(",")[0].lower())
        assert work.key.startswith(surname + fields["year"])
        assert work.key.removeprefix(surname + fields["year"]) in re.sub(r"\\.", "", fields["title"]).lower()


def test_a_source_is_found_by_arxiv_number_or_by_author_and_year() -> None:
    assert [work.key for work in works_of("hinge", SOURCES["loss"]["hinge"])] == [
        "lim2017geometric",
        "miyato2018spectral",
    ]
    (book,) = works_of("w1", "Villani 2009, Optimal Transport, definition 6.1")
    assert book.key == "villani2009optimal"
    assert works_of("mine", "Villani 2008")[0].key == "mine"


def test_an_unknown_source_becomes_a_note() -> None:
    (own,) = works_of("my method", "Doe & Roe 2031, arXiv:3101.00001, 100 % of eq. 1")
    assert own.bibtex == "\n".join(
        [
            "@misc{my-method,",
            "  title = {{my method}},",
            r"  note = {Doe \& Roe 2031, arXiv:3101.00001, 100 \% of eq. 1},",
            "  eprint = {3101.00001},",
            "  archivePrefix = {arXiv},",
            "}",
        ]
    )
    partly = works_of("mine", "arXiv:1704.00028 with arXiv:3101.00001")
    assert [work.key for work in partly] == ["gulrajani2017improved", "mine"]


def test_a_source_without_a_year_or_a_number_names_no_work() -> None:
    assert works_of("line", "Closed form") == ()


def test_the_report_writes_the_entries_of_the_sources_of_a_sweep(folder: Path) -> None:
    report(folder, limit_panels=0)
    text = (folder / "references.bib").read_text()
    keys = re.findall(r"^@\w+\{(.+),$", text, re.MULTILINE)
    assert {"alpaydin1998optical", "gulrajani2017improved", "lim2017geometric", "Decay", "heusel2017gans"} <= set(keys)
    assert "arjovsky2017wasserstein" not in keys, "no run used weight clipping"
    assert len(keys) == len(set(keys))


def test_the_latex_table_cites_its_rows_and_the_page_shows_their_sources(folder: Path) -> None:
    report(folder, limit_panels=0)
    table = (folder / "table.tex").read_text()
    assert "% The sources of the rows are in references.bib:\n" in table
    assert "% gradient_penalty: \\cite{gulrajani2017improved}\n" in table
    assert "% Decay: \\cite{Decay}\n" in table
    page = (folder / "index.html").read_text()
    assert 'href="references.bib"' in page
    assert "Doe &amp; Roe 2031, 100 % of eq. 1; file /methods/mine.py; sha256 ab12" in page


def test_runs_without_sources_are_reported(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    report(folder, limit_panels=0)
    assert "The runs name no sources." in (folder / "index.html").read_text()
    cited = citations(Summary(load(folder)))
    assert {citation.role for citation in cited} == {"metric"}
    assert bibliography(cited) == (folder / "references.bib").read_text()


def test_a_run_with_unreadable_sources_is_left_out(folder: Path) -> None:
    path = next(folder.glob("runs/*Decay*/run.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sources": "somewhere"}))
    assert "cannot be read and is left out" in load(folder).warnings[0]
