"""Every data set by its name in sweep files, which is the name of its module."""

from lipschitz.datasets.base import Dataset
from lipschitz.extensions.discovery import discover

_ROOMS = ("images", "points", "transport")
CATALOGUE: dict[str, type[Dataset]] = dict(
    sorted(
        (name, kind)
        for room in _ROOMS
        for name, kind in discover(f"lipschitz.datasets.{room}", Dataset).items()  # type: ignore[type-abstract]
    )
)
