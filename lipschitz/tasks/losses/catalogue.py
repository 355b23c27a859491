"""The catalogue of losses, by the names that sweep files use."""

from lipschitz.extensions.point import ExtensionPoint
from lipschitz.tasks.losses.base import Loss

LOSSES = ExtensionPoint("loss", "losses", "lipschitz.tasks.losses", Loss)
