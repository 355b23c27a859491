"""The catalogue of observers, by the names that ``--observer`` takes."""

from collections.abc import Iterable

from pydantic import ValidationError

from lipschitz.errors import InputError, first_line
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.training.observers.base import Observer

OBSERVERS = ExtensionPoint("observer", "observers", "lipschitz.training.observers", Observer)


def observers_called(names: Iterable[str]) -> tuple[Observer, ...]:
    """Return the observers with these names, each with its default fields.

    Raises:
        InputError: there is no such observer, or it has a field without a default.
    """
    return tuple(_observer(name) for name in names)


def _observer(name: str) -> Observer:
    kind = OBSERVERS.called(name)
    try:
        return kind()
    except ValidationError as error:
        raise InputError(f"--observer {name}: every field needs a default: {first_line(error)}") from None
