"""Read a YAML 1.2 file as plain values, and keep the line number of each of them for error messages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from lipschitz.errors import FOUND, MESSAGE, InputError, found, shortened
from lipschitz.sweep.definition.overrides import Override, overridden
from lipschitz.sweep.definition.yaml_events import Refused, check_events

Place = tuple[str | int, ...]
"""Keys and indices from the top of a document down to a value."""

LARGEST = 10 * 2**20
"""Most bytes of a sweep file."""
_SCALARS = (bool, int, float, str)


class Document:
    """A sweep file: its values, some of them overridden, and errors that name a line and key in it."""

    def __init__(self, path: Path, overrides: Sequence[Override] = ()) -> None:
        self.path, self._overrides = path, overrides
        text = _text(path)
        try:
            check_events(text)
            self._tree = YAML(typ="rt", pure=True).load(text)
        except Refused as refused:
            raise self._error_on(refused.line, str(refused)) from None
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise self._error_on(line, f"not valid YAML: {error.problem or error.context}") from None
        except ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise self._error_on(line, f"a control character, {found(text[error.position])}, is not allowed") from None
        except (Exception, RecursionError) as error:
            # ruamel raises errors of other kinds for some texts that are not YAML.
            raise self._error_on(1, f"not valid YAML: {error}") from None
        if not isinstance(self._tree, CommentedMap):
            raise self._error_on(1, "a sweep file is a mapping with the keys name, task, datasets, ...")
        self.values: dict[str, Any] = overridden(self._plain(self._tree, 1), overrides)

    def error(self, place: Place, message: str) -> InputError:
        """Return the one-line error about the value at ``place``: file, line, key and ``message``."""
        where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")
        for override in self._overrides:
            if override.covers(place):
                return InputError(shortened(f"-o {override.text}: {message}"))
        return self._error_on(self._line(place), (f"{shortened(where, FOUND)}: " if where else "") + message)

    def _error_on(self, line: int, message: str) -> InputError:
        position = f":{line}: "
        return InputError(f"{self.path}{position}{shortened(message, MESSAGE - len(position))}")

    def _line(self, place: Place) -> int:
        node, line = self._tree, 0
        for key in place:
            if isinstance(node, CommentedMap) and key in node:
                # A key that was merged in (<<) has no line here.
                line = node.lc.key(key)[0] if key in (node.lc.data or {}) else line
            elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
                line = node.lc.item(key)[0]
            else:
                break
            node = node[key]
        return line + 1

    def _plain(self, node: Any, line: int) -> Any:
        """Return ``node``, which begins on ``line``, as dict, list, or a plain scalar."""
        if isinstance(node, CommentedMap):
            # A key that was merged in (<<) has no line here.
            lines = {key: at[0] + 1 for key, at in (node.lc.data or {}).items()}
            for key in node:
                if not isinstance(key, str):
                    raise self._error_on(lines.get(key, line), f"a key is a name, found {found(key)}")
            return {str(key): self._plain(value, lines.get(key, line)) for key, value in node.items()}
        if isinstance(node, CommentedSeq):
            return [self._plain(value, node.lc.item(index)[0] + 1) for index, value in enumerate(node)]
        for kind in _SCALARS:
            # ruamel's scalars are subclasses that keep their notation.
            if isinstance(node, kind):
                return kind(node)
        if node is None:
            return None
        raise self._error_on(line, f"a {type(node).__name__.lower()} is not a value of a sweep, found {found(node)}")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST >> 20} MiB, the most of a sweep file")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8 text: byte 0x{data[error.start]:02x}; allowed: UTF-8") from None
