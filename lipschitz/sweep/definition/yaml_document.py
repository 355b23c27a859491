"""Read a YAML 1.2 file as plain values, and keep the line number of each of them for error messages."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lipschitz.errors import InputError

Place = tuple[str | int, ...]
"""Keys and indices from the top of a document down to a value."""


class Document:
    """A sweep file: its values, and errors that name a line and key in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._tree = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: cannot be read: {error}") from None
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise InputError(f"{path}:{line}: not valid YAML: {error.problem}") from None
        except YAMLError as error:
            raise InputError(f"{path}: not valid YAML: {error}") from None
        if not isinstance(self._tree, CommentedMap):
            raise InputError(f"{path}:1: a sweep file is a mapping with the keys name, task, datasets, ...")
        self.values: dict[str, Any] = _plain(self._tree)

    def error(self, place: Place, message: str) -> InputError:
        """Return the one-line error about the value at ``place``: file, line, key and ``message``."""
        where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")
        return InputError(f"{self.path}:{self._line(place)}: {where + ': ' if where else ''}{message}")

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


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        # ruamel's scalars are subclasses that keep their notation.
        if isinstance(node, kind):
            return kind(node)
    return node
