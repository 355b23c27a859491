"""Every data set, by the name of its file."""

from lipschitz.datasets.base import Dataset
from lipschitz.extensions.discovery import discover

CATALOGUE: dict[str, type[Dataset]] = discover("lipschitz.datasets", Dataset)  # type: ignore[type-abstract]
