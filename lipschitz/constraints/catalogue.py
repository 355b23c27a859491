"""The constraints by the names that sweep files use: each module of this package that defines one, and entry points."""

from pathlib import Path

import lipschitz.constraints
from lipschitz.constraints.base import Constraint
from lipschitz.errors import InputError, nearest
from lipschitz.extensions import outside
from lipschitz.extensions.discovery import discover

_OWN = discover(lipschitz.constraints, Constraint)
_OFFERED, REFUSED = outside.offered(_OWN)
"""What other installed packages offer, and by name why a method of theirs is refused."""
CATALOGUE: dict[str, type[Constraint]] = {**_OWN, **_OFFERED}


def constraint_called(name: str, folder: Path = Path()) -> type[Constraint]:
    """Return the method that a sweep file calls ``name``: one of the catalogue, or ``path/to/file.py:ClassName``.

    A relative path starts from ``folder``. Naming a file runs its code.

    Raises:
        InputError: there is no such method, it cannot be loaded, or a file's class could be mistaken for another.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if name in REFUSED:
        raise InputError(f"constraint '{name}' is refused: {REFUSED[name]}")
    reference = outside.REFERENCE.fullmatch(name)
    if reference is None:
        raise InputError(f"unknown constraint '{name}'; {nearest(name, CATALOGUE)}, or path/to/file.py:ClassName")
    kind = outside.from_file(folder / reference[1], reference[2])
    namesakes = [other for other, known in _OWN.items() if kind.name() in (other, known.__name__)]
    if CATALOGUE.get(kind.name(), kind) is not kind:
        namesakes.append(kind.name())
    if namesakes:
        raise InputError(f"{name}: '{kind.name()}' could be mistaken for {namesakes[0]}; give the class another name")
    return kind
