"""Find the classes that a module, or the modules of a package, define."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def discover(package: ModuleType | str, base: type[T]) -> list[type[T]]:
    """Return the concrete subclasses of ``base`` that a module or the modules of a package define.

    Sub-packages are searched too. The order is that of the modules' names, then of the code.
    """
    modules = _modules(importlib.import_module(package) if isinstance(package, str) else package)
    return [kind for module in modules for kind in defined(module, base)]


def defined(module: ModuleType, base: type[T]) -> list[type[T]]:
    """Return the public concrete subclasses of ``base`` that ``module`` itself defines, not those that it imports."""
    return [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value is not base
        and value.__module__ == module.__name__
        and value.__name__ == name
        and not name.startswith("_")
        and not inspect.isabstract(value)
    ]


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for info in pkgutil.iter_modules(getattr(package, "__path__", ())):
        yield from _modules(importlib.import_module(f"{package.__name__}.{info.name}"))
