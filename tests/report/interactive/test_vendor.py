"""Libraries of the page: the copies are the published files, their licences are in the page, all are packaged."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

import lipschitz
from lipschitz.report.interactive.assets import CHARTS, SORTING, Library, library_scripts, own_scripts

PACKAGE = Path(lipschitz.__file__).parent
VENDOR = PACKAGE / "report" / "vendor"


def test_the_copies_have_the_hashes_of_the_readme() -> None:
    listed = dict(re.findall(r"\| `(\S+\.js)` \| `([0-9a-f]{64})` \|", (VENDOR / "README.md").read_text()))
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*.js")
        if path.is_file()
    }
    assert listed == found
    assert len(found) == 3


@pytest.mark.parametrize("library", [CHARTS, SORTING])
def test_a_page_holds_library_and_licence_and_names_no_other_file(library: Library) -> None:
    text = library_scripts(library)
    readme = (VENDOR / "README.md").read_text()
    assert f"| {library.version} | [{library.licence}]" in readme
    comment, _, scripts = text.partition("-->")
    assert comment.startswith(f"<!-- {library.name} {library.version}")
    assert (VENDOR / library.licence_file).read_text().split()[-5:] == comment.split()[-5:]
    assert scripts.count("<script>") == scripts.count("</script>") == len(library.scripts)
    assert "sourceMappingURL" not in text


def test_the_version_is_that_of_the_file() -> None:
    assert f"Chart.js v{CHARTS.version}" in library_scripts(CHARTS)


def test_own_scripts_end_no_element_early() -> None:
    text = own_scripts("state.js", "figures.js", "methods.js", "tables.js")
    assert text.count("</script") == 1


def test_scripts_and_licences_are_in_the_package() -> None:
    """The package may be installed as a copy, so the folder of the sources is found from this file."""
    root = Path(__file__).parents[3]
    source = root / "lipschitz"
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packaged = {path.relative_to(source) for pattern in patterns["lipschitz"] for path in source.glob(pattern)}
    needed = {
        path.relative_to(source)
        for folder in ("vendor", "interactive/scripts", "templates")
        for path in (source / "report" / folder).rglob("*")
        if path.is_file()
    }
    assert needed <= packaged
    assert len(needed) > 10
    assert all((PACKAGE / path).is_file() for path in needed)
