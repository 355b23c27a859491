"""Load a class from outside the package: from a file that a sweep names, or from an entry point of another package.

Naming a file runs its code, with the rights of whoever starts the sweep. Before you run or check a sweep file of
others, read it and the files that it names. The hash of a file covers that file alone, not what it imports.
"""

import linecache
import sys
import traceback
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.util import decode_source
from pathlib import Path
from types import ModuleType, new_class
from typing import Any, cast

from lipschitz.config import Config
from lipschitz.errors import InputError, nearest
from lipschitz.extensions.discovery import defined


@dataclass(frozen=True)
class FileOrigin:
    """A subclass of ``base`` in a file. Loading it runs the file's code.

    The content is sent to the workers with the class. All runs of a sweep therefore use the code that was read when the
    sweep was planned, even if the file changes meanwhile.
    """

    base: type[Config]
    path: Path
    name: str
    content: bytes = field(repr=False)

    def identity(self) -> dict[str, str]:
        """Return what a run's id hashes besides the name: an edited file makes new runs, a moved file does not."""
        return {"sha256": sha256(self.content).hexdigest()}

    def facts(self) -> dict[str, str]:
        """Return what ``run.json`` records of it."""
        return {"file": str(self.path), **self.identity()}

    def load(self) -> type[Config]:
        """Execute the content and return the class called ``name``.

        Raises:
            InputError: the code raises, or it defines no such class, or one that is no ``base`` or lacks methods.
        """
        module = run_as_module(self.path, self.content)
        own = {cls.__name__: cls for cls in defined(module, self.base)}
        if self.name not in own:
            base, found = self.base.__name__, getattr(module, self.name, None)
            is_own = isinstance(found, type) and issubclass(found, self.base) and found.__module__ == module.__name__
            if is_own and (lacking := _lacking(found)):
                raise InputError(f"{self.path}: {self.name} lacks {lacking}")
            what = f"is not a public subclass of {base} defined here" if hasattr(module, self.name) else "is not there"
            allowed = nearest(self.name, own) if own else f"the file defines no subclass of {base}"
            raise InputError(f"{self.path}: '{self.name}' {what}; {allowed}")
        return own[self.name]


@dataclass(frozen=True)
class EntryPointOrigin:
    """A subclass of ``base`` that an installed package offers by an entry point."""

    base: type[Config]
    group: str
    name: str
    value: str
    distribution: str

    def identity(self) -> dict[str, str]:
        """Return what a run's id hashes besides the name."""
        return {"entry_point": self.value}

    def facts(self) -> dict[str, str]:
        """Return what ``run.json`` records of it."""
        return {"entry_point": self.value, "distribution": self.distribution}

    def load(self) -> type[Config]:
        """Import what the entry point names.

        Raises:
            InputError: it cannot be imported, is no subclass of ``base`` or lacks a method.
        """
        state = _global_state()
        try:
            kind = EntryPoint(self.name, self.value, self.group).load()
        except (Exception, SystemExit) as error:
            raise InputError(f"{self} cannot be imported: {_one_line(error)}") from None
        if state is not None:
            state.check(f"{self} when imported,")
        if not (isinstance(kind, type) and issubclass(kind, self.base) and kind is not self.base):
            raise InputError(f"{self} is not a subclass of {self.base.__name__}")
        if lacking := _lacking(kind):
            raise InputError(f"{self} lacks {lacking}")
        return kind

    def __str__(self) -> str:
        return f"{self.value}, offered by {self.distribution},"


Origin = FileOrigin | EntryPointOrigin
_ORIGINS: dict[type[Config], Origin] = {}


def origin_of(kind: type[Config]) -> Origin | None:
    """Return where a class from outside comes from; None for a class of the package."""
    return _ORIGINS.get(kind)


@cache
def load_from(origin: Origin) -> type[Config]:
    """Load the class at ``origin``; a sweep file calls it by the origin's name.

    Instances are pickled as their origin and fields, because another process cannot import the class by name.

    Raises:
        InputError: it cannot be loaded, or does not declare what its base class asks for.
    """
    kind = origin.load()
    kind.check_class()
    # A subclass, so that the class of the other package is not modified.
    body = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "name": classmethod(lambda _: origin.name),
        "__reduce__": lambda config: (_unpickle, (origin, config.model_dump_json())),
    }
    named = cast(type[Config], new_class(kind.__name__, (kind,), exec_body=lambda names: names.update(body)))
    _ORIGINS[named] = origin
    return named


def _unpickle(origin: Origin, fields: str) -> Config:
    return load_from(origin).model_validate_json(fields)


@cache
def run_as_module(path: Path, content: bytes) -> ModuleType:
    """Run a file's content as a module that no other code can import; nothing is written next to the file.

    Raises:
        InputError: the code raises, and the message names the file and line; or it changes a global setting.
    """
    module = ModuleType(f"lipschitz_outside_{sha256(bytes(path) + content).hexdigest()[:16]}")
    module.__file__ = str(path)
    state = _global_state()
    # Annotations are resolved through the module of the class.
    sys.modules[module.__name__] = module
    try:
        text = decode_source(content)
        # Tracebacks and docstrings of fields read the source from here, not from a file that was edited meanwhile.
        linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
        exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else [None, *lines][-1]
        raise InputError(f"{path}{f':{line}' if line else ''}: cannot be executed: {_one_line(error)}") from None
    if state is not None:
        state.check(f"{path}: its code")
    return module


def _global_state() -> Any:
    """Return the global settings of this process, or None where torch is not imported, as in a report."""
    # Imported by name: no module that a report needs may import torch.
    return import_module("lipschitz.global_state").GlobalState() if "torch" in sys.modules else None


def _lacking(kind: Any) -> str:
    """Return the abstract methods and properties that a class does not define, such as ``shape, load()``."""
    names = sorted(getattr(kind, "__abstractmethods__", ()))
    return ", ".join(name if isinstance(getattr(kind, name), property) else f"{name}()" for name in names)


def _one_line(error: BaseException) -> str:
    message: Any = error.msg if isinstance(error, SyntaxError) else error
    return f"{type(error).__name__}: {' '.join(str(message).split())}"
