"""Links between the repository's files, and where a linked file lies in the site.

Markdown files link to each other by relative paths, as GitHub reads them: ``docs/findings.md`` links to
``../results/n_dis/table.md``. MkDocs only sees files below ``docs/``. The site therefore holds a copy of every file
that can be reached by such links from the README and from ``docs/``, and links are rewritten to the copies.
"""

import posixpath
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote

_BLOCK = r"^(?P<fence>```+|~~~+).*?^(?P=fence)[^\n]*$"
_SPAN = r"(?P<ticks>`+)(?!`)(?:(?!\n\n).)+?(?<!`)(?P=ticks)(?!`)"
_BLOCKS, _CODE = re.compile(_BLOCK, re.M | re.S), re.compile(f"{_BLOCK}|{_SPAN}", re.M | re.S)
_MARKDOWN_LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
_HTML_LINK = re.compile(r"\s(?:href|src)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.I)


def links(text: str) -> list[str]:
    """Return the targets of all links and images of a Markdown text, code left out, in order."""
    return _MARKDOWN_LINK.findall(_CODE.sub("", text))


def anchors(text: str) -> set[str]:
    """Return the anchors of a Markdown text's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_BLOCKS.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        repeats = (f"{slug}-{n}" for n in range(1, 1000))
        found.add(slug if slug not in found else next(one for one in repeats if one not in found))
    return found


def is_relative(target: str) -> bool:
    """Say whether a link's target is a file of the repository."""
    return not _ELSEWHERE.match(target) and not target.startswith(("#", "/"))


def resolved(source: str, target: str) -> tuple[str, str]:
    """Return the file that a link in the file ``source`` leads to, from the repository's root, and its anchor."""
    path, _, anchor = target.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(path))), anchor


def linked_files(root: Path, starts: Iterable[str]) -> list[str]:
    """Return ``starts`` and every file that can be reached from them by relative links, from the root, sorted.

    Links of Markdown and HTML files are followed. A link that leads nowhere is left to MkDocs, which reports it.
    """
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        path = waiting.pop()
        if path in found or not (root / path).is_file():
            continue
        found.add(path)
        waiting += [resolved(path, target)[0] for target in _targets(root / path) if is_relative(target)]
    return sorted(found)


def site_path(path: str) -> str:
    """Return where the site has a file of the repository, as MkDocs names sources.

    The README is the home page. The page of a report gives way to the README in the same folder, which MkDocs calls
    ``index.html``, too.
    """
    if path == "README.md":
        return "index.md"
    if path.endswith("/index.html"):
        return path.removesuffix("index.html") + "report.html"
    return path.removeprefix("docs/")


def rewritten(text: str, source: str) -> str:
    """Return a Markdown text with its links to files of the repository made links to their copies in the site."""
    here = posixpath.dirname(site_path(source))

    def moved(match: re.Match[str]) -> str:
        target = match[1]
        if not is_relative(target):
            return target
        path, anchor = resolved(source, target)
        return posixpath.relpath(site_path(path), here or ".") + (f"#{anchor}" if anchor else "")

    return _outside_code(text, lambda prose: _MARKDOWN_LINK.sub(moved, prose))


def pages_instead_of_markdown(site: Path) -> None:
    """Make links from HTML pages to Markdown files links to the pages that MkDocs made of them."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        changed = re.sub(r'(href="(?![a-z]+:)[^"#]+)\.md(?=["#])', r"\1.html", text)
        if changed != text:
            page.write_text(changed, encoding="utf-8")


def dead_links(site: Path) -> list[str]:
    """Return ``page: target`` for every relative link of a built site that leads to no file, sorted."""
    return sorted(
        f"{page.relative_to(site)}: {target}"
        for page in site.rglob("*.html")
        for target in set(_targets(page))
        if is_relative(target) and page.name != "404.html"
        if not (page.parent / unquote(re.split("[?#]", target)[0])).is_file()
    )


def _targets(path: Path) -> list[str]:
    match path.suffix:
        case ".md":
            return links(path.read_text(encoding="utf-8"))
        case ".html":
            return _HTML_LINK.findall(path.read_text(encoding="utf-8"))
    return []


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    done, parts = 0, []
    for code in _CODE.finditer(text):
        parts += [change(text[done : code.start()]), code[0]]
        done = code.end()
    return "".join([*parts, change(text[done:])])
