"""The scripts of the page: the libraries in ``report/vendor/`` with their licences, and the package's own."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

from markupsafe import Markup

_REPORT = files("lipschitz.report")


class Library(NamedTuple):
    """A published library whose files a page holds as they are."""

    name: str
    version: str
    licence: str
    address: str
    scripts: tuple[str, ...]
    licence_file: str


CHARTS = Library(
    "Chart.js",
    "4.6.1",
    "MIT",
    "https://www.chartjs.org",
    ("chart.js/chart.umd.min.js",),
    "chart.js/LICENSE.md",
)
SORTING = Library(
    "sortable-tablesort",
    "4.1.7",
    "Unlicense",
    "https://github.com/tofsjonas/sortable",
    ("sortable-tablesort/sortable.min.js", "sortable-tablesort/sortable.a11y.min.js"),
    "sortable-tablesort/LICENSE",
)
TABLE_SCRIPTS = ("tables.js",)
FIGURE_SCRIPTS = ("state.js", "figures.js", "methods.js")


@cache
def library_scripts(library: Library) -> Markup:
    """Return a library as ``<script>`` elements after its licence, which is a comment.

    The line that names a source map is left out: a browser with open developer tools would look for that file.
    """
    licence = _vendored(library.licence_file).replace("--", "- -").strip()
    texts = ["\n".join(line for line in _vendored(name).splitlines() if not _names_a_map(line)) for name in library[4]]
    head = f"<!-- {library.name} {library.version}, {library.address}\n\n{licence}\n-->\n"
    return Markup(head + "\n".join(f"<script>{text}</script>" for text in texts))


@cache
def own_scripts(*names: str) -> Markup:
    """Return scripts of this package in one ``<script>`` element."""
    texts = [(_REPORT / "interactive" / "scripts" / name).read_text(encoding="utf-8") for name in names]
    return Markup("<script>\n" + "\n".join(texts) + "</script>")


def _vendored(name: str) -> str:
    return (_REPORT / "vendor" / name).read_text(encoding="utf-8")


def _names_a_map(line: str) -> bool:
    return line.startswith("//# sourceMappingURL=")
