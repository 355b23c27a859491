"""MkDocs hooks: generated pages, and the repository's files that pages link to."""

from pathlib import Path
from typing import Any

import pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from repository import dead_links, linked_files, pages_instead_of_markdown, rewritten, site_path

LISTED = ("datasets", "models", "losses", "augmentations", "metrics", "protocols")
"""What catalogue.md shows; constraints have pages of their own."""
_sources: dict[str, str] = {}
"""By the name that MkDocs gives a page, its file from the repository's root; none for generated pages."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put a page for each method into the navigation, below their overview."""
    for section in config.nav or []:
        if "Methods" in section:
            section["Methods"] += [{name: f"methods/{name}.md"} for name, _ in pages.method_pages(_root(config))]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README, every file that can be reached from it or from ``docs/`` by links, and the methods' pages."""
    root = _root(config)
    own = [Path("docs", file.src_uri).as_posix() for file in files.documentation_pages()]
    _sources.clear()
    for path in linked_files(root, ["README.md", *own]):
        name = site_path(path)
        _sources[name] = path
        if path not in own and files.get_file_from_path(name) is None:
            files.append(File.generated(config, name, abs_src_path=str(root / path)))
    for name, text in pages.method_pages(root):
        files.append(File.generated(config, f"methods/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Make links to files of the repository links into the site, and add what is generated to its page."""
    name = page.file.src_uri
    text = rewritten(markdown, _sources[name]) if name in _sources else markdown
    match name:
        case "methods.md":
            return f"{text}\n{pages.methods_table()}"
        case "sweep_file.md":
            return f"{text}\n{pages.sweep_reference()}"
        case "catalogue.md":
            return f"{text}\n{pages.listing_tables(LISTED)}"
    return text


def on_post_build(config: MkDocsConfig) -> None:
    """Let copied pages link to pages, and check that every link leads to a file of the built site.

    MkDocs checks links between Markdown files only.

    Raises:
        PluginError: some lead nowhere.
    """
    site = Path(config.site_dir)
    pages_instead_of_markdown(site)
    if dead := dead_links(site):
        raise PluginError("links that lead to no file of the site:\n" + "\n".join(dead))


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent
