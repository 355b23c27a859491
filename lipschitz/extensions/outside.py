"""Methods from outside the package: a class in a file that a sweep names, or an entry point of another package.

To name a file is to run its code, with the rights of whoever starts the sweep: read a sweep file of others, and what it
names, before running or even checking it. A file's hash covers the file alone, not what it imports.
"""

import linecache
import re
import sys
import traceback
from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from importlib.util import decode_source
from pathlib import Path
from types import ModuleType, new_class
from typing import Any, cast

from lipschitz.constraints.base import Constraint
from lipschitz.errors import InputError, nearest
from lipschitz.extensions.discovery import defined

GROUP = "lipschitz.constraints"
"""The group of entry points by which an installed package offers methods."""
REFERENCE = re.compile(r"(.+\.py)(?::([A-Za-z_]\w*))?")
"""How a sweep names a class in a file, ``path/to/file.py:ClassName``; without the class it is a mistake to explain."""
_PROMISES = ("certified", "heuristic", "none")


@dataclass(frozen=True)
class FileOrigin:
    """A class in a file, which runs its code when loaded.

    The content goes with it to the workers, so that all runs of a sweep are made by what was read when it was planned,
    whatever happens to the file meanwhile.
    """

    path: Path
    name: str
    content: bytes = field(repr=False)

    def identity(self) -> dict[str, str]:
        """Return what a run's id hashes besides the name: an edited file makes new runs, a moved one does not."""
        return {"sha256": sha256(self.content).hexdigest()}

    def facts(self) -> dict[str, str]:
        """Return what ``run.json`` says of it."""
        return {"file": str(self.path), **self.identity()}

    def load(self) -> type[Constraint]:
        """Execute the content and return the class that is called ``name``.

        Raises:
            InputError: the code raises, defines no such class, or the class is no constraint.
        """
        module = _executed(self.path, self.content)
        own = {cls.__name__: cls for cls in defined(module, Constraint)}
        if self.name not in own:
            what = "is no public subclass of Constraint defined here" if hasattr(module, self.name) else "is not there"
            allowed = nearest(self.name, own) if own else "the file defines no subclass of Constraint"
            raise InputError(f"{self.path}: '{self.name}' {what}; {allowed}")
        return own[self.name]


@dataclass(frozen=True)
class EntryPointOrigin:
    """An entry point of an installed package."""

    name: str
    value: str
    distribution: str

    def identity(self) -> dict[str, str]:
        """Return what a run's id hashes besides the name."""
        return {"entry_point": self.value}

    def facts(self) -> dict[str, str]:
        """Return what ``run.json`` says of it."""
        return {"entry_point": self.value, "distribution": self.distribution}

    def load(self) -> type[Constraint]:
        """Import what the entry point names.

        Raises:
            InputError: it cannot be imported, or is no subclass of Constraint.
        """
        try:
            kind = EntryPoint(self.name, self.value, GROUP).load()
        except (Exception, SystemExit) as error:
            raise InputError(f"{self} cannot be imported: {_said(error)}") from None
        if not (isinstance(kind, type) and issubclass(kind, Constraint) and kind is not Constraint):
            raise InputError(f"{self} is no subclass of Constraint")
        return kind

    def __str__(self) -> str:
        return f"{self.value}, offered by {self.distribution},"


Origin = FileOrigin | EntryPointOrigin
_ORIGINS: dict[type[Constraint], Origin] = {}


def origin_of(kind: type[Constraint]) -> Origin | None:
    """Return where a method from outside comes from, None for one of the package's own."""
    return _ORIGINS.get(kind)


@cache
def adopted(origin: Origin) -> type[Constraint]:
    """Load the class at ``origin`` under the origin's name.

    Its records are pickled as their origin and their fields, since no other process could import the class by name.

    Raises:
        InputError: it cannot be loaded, or does not say what it promises.
    """
    kind = origin.load()
    if getattr(kind, "promise", None) not in _PROMISES:
        raise InputError(f"{kind.__name__} does not say its promise; allowed: {', '.join(_PROMISES)}")
    # A subclass, so that what belongs to another package is left as it is.
    body = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "name": classmethod(lambda _: origin.name),
        "__reduce__": lambda record: (_remade, (origin, record.model_dump_json())),
    }
    named = cast(type[Constraint], new_class(kind.__name__, (kind,), exec_body=lambda names: names.update(body)))
    _ORIGINS[named] = origin
    return named


def _remade(origin: Origin, fields: str) -> Constraint:
    return adopted(origin).model_validate_json(fields)


def from_file(path: Path, name: str | None) -> type[Constraint]:
    """Run the file's code and return its class called ``name``, under that name.

    Raises:
        InputError: it cannot be read, executed or found, or is no constraint; no name is given.
    """
    path = path.resolve()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if name is None:
        own = ", ".join(f"{path.name}:{cls.__name__}" for cls in defined(_executed(path, content), Constraint))
        raise InputError(f"{path}: name the class, too; there: {own or 'no subclass of Constraint'}")
    return adopted(FileOrigin(path, name, content))


def offered(taken: Container[str]) -> tuple[dict[str, type[Constraint]], dict[str, str]]:
    """Return the methods that installed packages offer, by name, and why others are refused.

    Args:
        taken: names of the package's own methods, which nothing else may bear.
    """
    points = defaultdict(list)
    for point in entry_points(group=GROUP):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
        points[point.name].append(EntryPointOrigin(point.name, point.value, package))
    found, refused = {}, {}
    for name, origins in sorted(points.items()):
        try:
            if name in taken:
                raise InputError(f"{origins[0]} bears the name of a method of lipschitz itself")
            if len(origins) > 1:
                raise InputError(f"several packages offer it: {', '.join(sorted(one.distribution for one in origins))}")
            found[name] = adopted(origins[0])
        except InputError as error:
            refused[name] = str(error)
    return found, refused


@cache
def _executed(path: Path, content: bytes) -> ModuleType:
    """Run a file's content as a module that can be imported by nobody; nothing is written beside the file."""
    module = ModuleType(f"lipschitz_outside_{sha256(bytes(path) + content).hexdigest()[:16]}")
    module.__file__ = str(path)
    # Annotations are looked up by a class's module.
    sys.modules[module.__name__] = module
    try:
        text = decode_source(content)
        # Tracebacks, and the docstrings of fields, read a file's lines here: not from a file edited meanwhile.
        linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
        exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else [None, *lines][-1]
        raise InputError(f"{path}{f':{line}' if line else ''}: cannot be executed: {_said(error)}") from None
    return module


def _said(error: BaseException) -> str:
    message: Any = error.msg if isinstance(error, SyntaxError) else error
    return f"{type(error).__name__}: {' '.join(str(message).split())}"
