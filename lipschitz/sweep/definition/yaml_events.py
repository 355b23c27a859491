"""Refuse what a sweep file does not need and a YAML reader may fail on: tags, anchors in themselves, deep nesting."""

import re
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    ScalarEvent,
)

from lipschitz.errors import found

DEPTH = 32
"""Most lists and mappings inside each other."""
VALUES = 2_000_000
"""Most values of a file, where every alias counts as many as its anchor."""
CHARACTERS = 4096
"""Most characters of a text."""
DIGITS = 40
"""Most digits of an integer."""
_INTEGER = re.compile(r"[-+]?(0o?[0-7_]+|0x[0-9A-Fa-f_]+|[0-9_]+)")


class Refused(Exception):
    """What is not allowed, and on which line, counted from one."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class _Open:
    """A list or mapping whose end has not been read."""

    anchor: str | None
    values: int = 1


@dataclass
class _Checker:
    documents: int = 0
    open: list[_Open] = field(default_factory=lambda: [_Open(None)])
    sizes: dict[str, int] = field(default_factory=dict)
    """Number of values of each anchor that has been read."""

    def check(self, event: object, line: int) -> None:
        match event:
            case DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise Refused(line, "a second document; allowed: one")
                if event.version or event.tags:
                    raise Refused(line, "a directive (%) is not allowed")
            case AliasEvent():
                self._alias(event, line)
            case ScalarEvent() | CollectionStartEvent():
                self._node(event, line)
            case CollectionEndEvent():
                ended = self.open.pop()
                self._count(ended.values, ended.anchor, line)

    def _node(self, event: ScalarEvent | CollectionStartEvent, line: int) -> None:
        if event.ctag is not None:
            raise Refused(line, f"a tag ({found(str(event.ctag))[1:-1]}) is not allowed")
        if event.anchor in self.sizes or any(event.anchor == one.anchor for one in self.open if one.anchor):
            raise Refused(line, f"the anchor &{found(event.anchor)[1:-1]} is defined twice")
        if isinstance(event, CollectionStartEvent):
            self.open.append(_Open(event.anchor))
            if len(self.open) > DEPTH:
                raise Refused(line, f"more than {DEPTH} lists and mappings inside each other")
            return
        if len(event.value) > CHARACTERS:
            raise Refused(line, f"a text of {len(event.value)} characters; allowed: at most {CHARACTERS}")
        if event.style is None and len(event.value) > DIGITS and _INTEGER.fullmatch(event.value):
            raise Refused(line, f"an integer of {len(event.value)} digits; allowed: at most {DIGITS}")
        self._count(1, event.anchor, line)

    def _alias(self, event: AliasEvent, line: int) -> None:
        name = event.anchor
        if any(name == one.anchor for one in self.open):
            raise Refused(line, f"the alias *{found(name)[1:-1]} is inside its own anchor")
        if name not in self.sizes:
            raise Refused(line, f"the alias *{found(name)[1:-1]} has no anchor before it")
        self._count(self.sizes[name], None, line)

    def _count(self, values: int, anchor: str | None, line: int) -> None:
        self.open[-1].values += values
        if anchor is not None:
            self.sizes[anchor] = values
        if self.open[-1].values > VALUES:
            raise Refused(line, f"more than {VALUES:,} values, with those of aliases")


def check_events(text: str) -> None:
    """Read ``text`` as YAML without making values of it.

    Raises:
        Refused: a tag, a directive, a second document, an anchor that is defined twice or contains itself, or too many
            values, digits, characters or levels.
        YAMLError: it is not YAML.
    """
    checker = _Checker()
    for event in YAML(typ="rt", pure=True).parse(text):
        checker.check(event, event.start_mark.line + 1)
