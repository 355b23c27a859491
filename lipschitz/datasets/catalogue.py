"""The catalogue of data sets, by the names that sweep files use."""

from lipschitz.datasets.base import Dataset
from lipschitz.extensions.point import ExtensionPoint

DATASETS = ExtensionPoint("dataset", "datasets", "lipschitz.datasets", Dataset)
