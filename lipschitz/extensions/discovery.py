"""Find the classes that the modules of a package define: a new file adds a new name."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def discover(package: ModuleType | str, base: type[T]) -> dict[str, type[T]]:
    """Return the concrete subclass of ``base`` that each module of ``package`` defines, by the module's name.

    Sub-packages are searched too. A module that defines none is skipped. Names are sorted.

    Raises:
        TypeError: a module defines more than one subclass, or two modules have the same name.
    """
    found: dict[str, type[T]] = {}
    for module in _modules(importlib.import_module(package) if isinstance(package, str) else package):
        classes = defined(module, base)
        name = module.__name__.rpartition(".")[2]
        if len(classes) > 1:
            names = ", ".join(cls.__name__ for cls in classes)
            raise TypeError(f"{module.__name__} defines {names}; allowed: one public {base.__name__} per module")
        if classes and name in found:
            raise TypeError(f"{module.__name__} and {found[name].__module__} have the same name; rename one")
        if classes:
            found[name] = classes[0]
    return dict(sorted(found.items()))


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
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        yield module
        if info.ispkg:
            yield from _modules(module)
