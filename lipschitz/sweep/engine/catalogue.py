"""The engines by name: those of the package and those of installed packages."""

from pydantic import ValidationError

from lipschitz.errors import InputError
from lipschitz.extensions.entry import describe
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.sweep.engine.base import Engine

ENGINES = ExtensionPoint("engine", "engines", "lipschitz.sweep.engine", Engine)


def engine_called(name: str) -> Engine:
    """Return the engine that ``--engine`` names: one of `ENGINES`, or ``path/to/file.py:ClassName``.

    Raises:
        InputError: there is no such engine, or it has a field without a default.
    """
    try:
        return ENGINES.called(name)()
    except ValidationError as error:
        raise InputError(f"--engine {name}: {describe(error.errors()[0])}; every field needs a default") from None
