"""Make text from files fit to print: names with control characters would reach the terminal and break SVG and LaTeX."""

from typing import Any

from lipschitz.errors import printable


def printable_json(value: Any) -> Any:
    """Return a JSON value with every string in it, also those that name fields, on one line and escaped."""
    match value:
        case str():
            return printable(value)
        case dict():
            return {printable(key): printable_json(part) for key, part in value.items()}
        case list():
            return [printable_json(part) for part in value]
        case _:
            return value
