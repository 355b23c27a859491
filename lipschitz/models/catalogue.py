"""The catalogue of models, by the names that sweep files use."""

from lipschitz.extensions.point import ExtensionPoint
from lipschitz.models.base import Model, PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP

MODELS = ExtensionPoint("model", "models", "lipschitz.models", Model)


def auto(shape: tuple[int, ...]) -> PairModel:
    """Return the model for samples of ``shape``: ``mlp`` for points, ``dcgan`` for images."""
    return MLP() if len(shape) == 1 else DCGAN()
