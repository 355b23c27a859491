"""The catalogue of engines, by the names that ``--engine`` takes."""

from lipschitz.extensions.point import ExtensionPoint
from lipschitz.sweep.engine.base import Engine

ENGINES = ExtensionPoint("engine", "engines", "lipschitz.sweep.engine", Engine)
