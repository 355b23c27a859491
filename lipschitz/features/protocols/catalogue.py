"""The catalogue of protocols, by the names that sweep files use."""

from lipschitz.extensions.point import ExtensionPoint
from lipschitz.features.protocols.base import Protocol

PROTOCOLS = ExtensionPoint("protocol", "protocols", "lipschitz.features.protocols", Protocol)
