"""Pages in a headless browser: Debian's chromium, driven by Playwright, which downloads no browser."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Opened:
    """A page that is open, with what its console said and which addresses it asked for."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def headless_browser() -> Iterator[Any]:
    """Yield a browser; skip the test with a reason where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, file: Path, width: int = 1400, **context: Any) -> Iterator[Opened]:
    """Yield a file as a page of this width, in pixels."""
    window = browser.new_context(viewport={"width": width, "height": 900}, **context)
    found = Opened(window.new_page())
    found.page.on("console", lambda message: found.messages.append(message.text))
    found.page.on("pageerror", lambda error: found.messages.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(file.resolve().as_uri())
    yield found
    window.close()


CUT_ELEMENTS = """() => [...document.querySelectorAll("body *")].filter((one) => {
  const box = one.getBoundingClientRect();
  const scrolls = one.closest(".scroll");
  const right = document.documentElement.clientWidth + 0.5;
  return box.width && (!scrolls || scrolls === one) && (box.right > right || box.left < -0.5);
}).map((one) => one.outerHTML.slice(0, 120))"""
"""Script that returns the elements that are cut at a side of the page. Parts of scrolling elements do not count."""
