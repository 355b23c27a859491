"""Find the works to cite for a sweep, and write them as BibTeX: methods, data, models, losses and metrics."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.latex_text import tex

_FILE = Path(__file__).parent / "templates" / "references.bib"
_ENTRY = re.compile(r"^@\w+\{([^,]+),\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


class BibEntry(NamedTuple):
    """An entry of the bibliography; a source that has all of its ``words`` names this work."""

    key: str
    bibtex: str
    words: tuple[str, ...]


class Citation(NamedTuple):
    """Something that a sweep used, its role (an axis of the sweep, or "metric"), and the works of its source."""

    role: str
    name: str
    source: str
    works: tuple[BibEntry, ...]


@cache
def known_works() -> tuple[BibEntry, ...]:
    """Return the package's own bibliography: the entries of ``references.bib``."""
    return tuple(
        BibEntry(match[1], match[0], _words(dict(_FIELD.findall(match[2]))))
        for match in _ENTRY.finditer(_FILE.read_text(encoding="utf-8"))
    )


def works_of(name: str, source: str) -> tuple[BibEntry, ...]:
    """Return the works that the ``source`` of ``name`` names; a work that is not in the bibliography becomes a note.

    A source without any digit, such as ``Closed form``, names no work.
    """
    if not re.search(r"\d", source):
        return ()
    known = tuple(work for work in known_works() if all(word in source for word in work.words))
    unknown = [
        number for number in _ARXIV.findall(source) if not any(f"arXiv:{number}" in work.words for work in known)
    ]
    if known and not unknown:
        return known
    return (*known, _note(name, source, unknown))


def citations(summary: Summary) -> list[Citation]:
    """Return everything with a source that the runs used, and the metrics that were measured."""
    used = [(role, name, source) for role, names in summary.results.sources.items() for name, source in names.items()]
    used += [("metric", metric.name, metric.source) for metric in summary.measured_metrics]
    return [Citation(role, name, source, works_of(name, source)) for role, name, source in used if source]


def bibliography(cited: Iterable[Citation]) -> str:
    """Return the text of ``references.bib``: each work once, sorted by key."""
    entries = {work.key: work.bibtex for citation in cited for work in citation.works}
    return "\n\n".join(entries[key] for key in sorted(entries, key=str.lower)) + "\n"


def latex_comments(cited: Iterable[Citation]) -> list[str]:
    r"""Return comment lines for the head of ``table.tex``: the ``\cite`` of each method."""
    rows = [
        rf"{citation.name}: \cite{{{','.join(work.key for work in citation.works)}}}"
        for citation in cited
        if citation.role == "constraint" and citation.works
    ]
    return ["The sources of the rows are in references.bib:", *rows]


def _words(fields: dict[str, str]) -> tuple[str, ...]:
    if "eprint" in fields:
        return (f"arXiv:{fields['eprint']}",)
    if "doi" in fields:
        return (f"doi:{fields['doi']}",)
    return (fields["author"].partition(",")[0], fields["year"])


def _note(name: str, source: str, numbers: list[str]) -> BibEntry:
    key = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    # BibTeX counts braces, also escaped ones.
    fields = {"title": f"{{{_without_braces(name)}}}", "note": _without_braces(source)}
    if len(numbers) == 1:
        fields |= {"eprint": numbers[0], "archivePrefix": "arXiv"}
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items()]
    return BibEntry(key, "\n".join([f"@misc{{{key},", *lines, "}"]), ())


def _without_braces(text: str) -> str:
    return tex(text.replace("{", "(").replace("}", ")"))
