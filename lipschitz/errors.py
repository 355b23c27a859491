"""What a user can mend: one clear line, exit code 2."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """A bad input. One line: what, where, what is allowed. The command line prints it, and exits with 2."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the closest allowed name, where one is close, and all that is allowed."""
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}allowed: {', '.join(names)}"
