"""The catalogue of optimisers, by the names that settings use."""

from lipschitz.extensions.point import ExtensionPoint
from lipschitz.tasks.optimisers.base import Optimiser

OPTIMISERS = ExtensionPoint("optimiser", "optimisers", "lipschitz.tasks.optimisers", Optimiser)
