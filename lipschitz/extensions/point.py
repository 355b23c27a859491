"""Extension points: the catalogue of a kind of thing that users add, such as constraints, models or losses.

A class is found in three places: in a module of the package, named after the module, or by ``Config.named`` where the
module defines several; as an entry point of an installed package, in the group ``lipschitz.<plural>``; in a file, which
a sweep names as ``path/to/file.py:ClassName``.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from lipschitz.config import Config
from lipschitz.errors import InputError, found, nearest
from lipschitz.extensions.discovery import defined, discover
from lipschitz.extensions.origin import EntryPointOrigin, FileOrigin, load_from, run_as_module

C = TypeVar("C", bound=Config)

FILE_PATTERN = r"\.py:[A-Za-z_]\w*$"
"""How a name that refers to a class in a file ends."""
_REFERENCE = re.compile(r"(.+\.py)(?::([A-Za-z_]\w*))?")


def by_name(kinds: Iterable[type[C]]) -> dict[str, type[C]]:
    """Return classes by name, in order.

    Raises:
        TypeError: two of them have the same name.
    """
    found: dict[str, type[C]] = {}
    for kind in kinds:
        if found.setdefault(kind.name(), kind) is not kind:
            other = found[kind.name()]
            raise TypeError(f"{other.__module__}.{other.__name__} and {kind.__name__} are both called {kind.name()}")
    return dict(sorted(found.items()))


class _Offered(NamedTuple):
    found: dict[str, type[Config]]
    refused: dict[str, str]


class ExtensionPoint(Mapping[str, type[C]]):
    """A kind of thing that is added as one file: the subclasses of ``base`` by the names that sweep files use.

    As a mapping it holds the package's own classes and those of installed packages, by name.

    Args:
        noun: what one is called in messages, such as ``constraint``.
        plural: what several are called; names the group of entry points, ``lipschitz.<plural>``.
        package: the module or package where the package's own are. A class is named after its module, or by ``named``.
        base: the class that they are subclasses of.
    """

    def __init__(self, noun: str, plural: str, package: str, base: type[C]) -> None:
        self.noun, self.plural, self.base = noun, plural, base
        self.group = f"lipschitz.{plural}"
        self._package = package

    @cached_property
    def own(self) -> dict[str, type[C]]:
        """The package's own classes by name, in order.

        Raises:
            TypeError: two of them have the same name, such as two in a module without ``named``.
        """
        return by_name(discover(self._package, self.base))

    @cached_property
    def catalogue(self) -> dict[str, type[C]]:
        """The package's own classes, then those of installed packages, by name."""
        return {**self.own, **cast(dict[str, type[C]], self._offered.found)}

    @property
    def refused(self) -> dict[str, str]:
        """Entry points that are not used, by name, with the reason."""
        return self._offered.refused

    def __getitem__(self, name: str) -> type[C]:
        return self.catalogue[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.catalogue)

    def __len__(self) -> int:
        return len(self.catalogue)

    def names_of(self, kind: type[Config]) -> list[str]:
        """Return the names of the subclasses of ``kind``."""
        return [name for name, found in self.items() if issubclass(found, kind)]

    def called(self, name: str, folder: Path = Path(), more: Iterable[str] = ()) -> type[C]:
        """Return the class that a sweep file calls ``name``: from the catalogue, or ``path/to/file.py:ClassName``.

        A relative path starts from ``folder``. Naming a file runs its code. ``more`` are further names that an error
        may propose.

        Raises:
            InputError: there is no such class, it cannot be loaded, or its name is taken by another class.
        """
        if name in self.catalogue:
            return self.catalogue[name]
        if name in self.refused:
            raise InputError(f"{self.noun} '{name}' is refused: {self.refused[name]}")
        reference = _REFERENCE.fullmatch(name)
        if reference is None:
            allowed = nearest(name, [*more, *self.catalogue], f"lipschitz list {self.plural}")
            raise InputError(f"unknown {self.noun} {found(name)}; {allowed}, or path/to/file.py:ClassName")
        kind = self._from_file(folder / reference[1], reference[2])
        taken = [other for other, known in self.own.items() if kind.name() in (other, known.__name__)]
        if self.catalogue.get(kind.name(), kind) is not kind:
            taken.append(kind.name())
        if taken:
            raise InputError(f"{name}: '{kind.name()}' could be mistaken for {taken[0]}; give the class another name")
        return kind

    def _from_file(self, path: Path, name: str | None) -> type[C]:
        path = path.resolve()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        if name is None:
            own = ", ".join(f"{path.name}:{cls.__name__}" for cls in defined(run_as_module(path, content), self.base))
            raise InputError(f"{path}: name the class, too; found: {own or f'no subclass of {self.base.__name__}'}")
        return cast(type[C], load_from(FileOrigin(self.base, path, name, content)))

    @cached_property
    def _offered(self) -> _Offered:
        """What installed packages offer, by name."""
        points = defaultdict(list)
        for point in entry_points(group=self.group):
            package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
            points[point.name].append(EntryPointOrigin(self.base, self.group, point.name, point.value, package))
        offered = _Offered({}, {})
        for name, origins in sorted(points.items()):
            try:
                offered.found[name] = self._from_entry_point(name, origins)
            except InputError as error:
                offered.refused[name] = str(error)
        return offered

    def _from_entry_point(self, name: str, origins: list[EntryPointOrigin]) -> type[Config]:
        if name in self.own:
            raise InputError(f"{origins[0]} has the name of a {self.noun} of lipschitz itself")
        if len(origins) > 1:
            raise InputError(f"several packages offer it: {', '.join(sorted(one.distribution for one in origins))}")
        return load_from(origins[0])
