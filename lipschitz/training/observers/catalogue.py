"""The catalogue of observers, by name."""

from lipschitz.extensions.point import ExtensionPoint
from lipschitz.training.observers.base import Observer

OBSERVERS = ExtensionPoint("observer", "observers", "lipschitz.training.observers", Observer)
