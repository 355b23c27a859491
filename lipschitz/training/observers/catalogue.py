"""The catalogue of observers, by the names that ``--observer`` takes."""

from lipschitz.extensions.point import ExtensionPoint
from lipschitz.training.observers.base import Observer

OBSERVERS = ExtensionPoint("observer", "observers", "lipschitz.training.observers", Observer)
