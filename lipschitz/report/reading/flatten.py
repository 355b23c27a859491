"""Nested dicts, as JSON has them, by the path to each of their values."""

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the path to each value that is no dict, and the value; an empty dict has none."""
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key, part in value.items():
        yield from leaves(part, (*path, str(key)))
