"""Print to a terminal: no markup, no control characters from files, and a substitute for what it cannot show."""

import io
import re
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from lipschitz.errors import printable

_WITHIN_A_LINE = re.compile(r"[^\n\t]+")


class Terminal(Console):
    """A console that prints text as it is: brackets are no markup, and control characters are shown as escapes.

    Line breaks and tabs stay, because tables and help have them; text of a file that goes on one line is printed
    through `lipschitz.errors.printable`.
    """

    def __init__(self, *, width: int | None = None) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, width=width)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return ``text`` without control characters."""
        return super().render_str(_WITHIN_A_LINE.sub(lambda part: printable(part[0]), text), **options)


def replace_what_cannot_be_shown() -> None:
    """Let stdout and stderr write ``?`` for a character that their encoding lacks, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


# A pipe has no width: lines are not broken there, and tables get room.
console = Terminal(width=None if sys.stdout.isatty() else 200)
