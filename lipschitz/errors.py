"""The error for wrong input, the nearest valid name, and the first line of an error's message."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Wrong input: one line that says what, where and what is allowed. The command line prints it and exits with 2."""


def printable(text: str) -> str:
    """Return ``text`` on one line, with escapes such as ``\\x1b`` for control characters and surrogates."""
    line = " ".join(text.splitlines())
    return line if line.isprintable() else "".join(map(_escaped, line))


def first_line(error: BaseException, *, with_type: bool = False) -> str:
    """Return the first line of the message of ``error``, or the name of its class where it has no message.

    Args:
        error: the error.
        with_type: prefix the message with the name of its class, as in ``ValueError: message``.
    """
    kind = type(error).__name__
    line = next(iter(str(error).strip().splitlines()), "")
    if not line:
        return kind
    return f"{kind}: {line}" if with_type else line


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return all allowed names, after ``did you mean 'x'?`` if one of them is close to ``name``."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}allowed: {', '.join(names)}"


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
