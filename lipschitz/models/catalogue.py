"""The models by the names that sweep files use."""

import lipschitz.models
from lipschitz.extensions.discovery import discover
from lipschitz.models.base import Model, PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP

CATALOGUE: dict[str, type[Model]] = discover(lipschitz.models, Model)  # type: ignore[type-abstract]


def auto(shape: tuple[int, ...]) -> PairModel:
    """Return the model that suits samples of ``shape``: ``mlp`` for points, ``dcgan`` for images."""
    return MLP() if len(shape) == 1 else DCGAN()
