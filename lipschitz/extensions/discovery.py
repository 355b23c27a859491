"""Finding the classes of a package that holds one file a thing: a new file is a new name."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def discover(package: ModuleType | str, base: type[T]) -> dict[str, type[T]]:
    """Return the concrete subclass of ``base`` that each module of ``package`` defines, by the module's name.

    A module that defines none (``base``'s own, a catalogue, shared arithmetic) is passed over. Names come in order.

    Raises:
        TypeError: a module defines more than one, so that its name does not say which.
    """
    package = importlib.import_module(package) if isinstance(package, str) else package
    found = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        classes = defined(importlib.import_module(f"{package.__name__}.{name}"), base)
        if len(classes) > 1:
            names = ", ".join(cls.__name__ for cls in classes)
            raise TypeError(f"{package.__name__}.{name} defines {names}; allowed: one public {base.__name__} a module")
        if classes:
            found[name] = classes[0]
    return found


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
