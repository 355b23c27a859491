"""The perceptron that classifies images."""

import pytest
import torch
from torch import nn

from lipschitz.models.mlp_classifier import MLPClassifier


def test_it_takes_images_as_vectors_and_drops_hidden_units() -> None:
    model = MLPClassifier(width=8, depth=2, dropout=0.5)
    net = model.build_classifier((1, 4, 4), 3)
    assert net(torch.zeros(5, 1, 4, 4)).shape == (5, 3)
    assert sum(isinstance(module, nn.Dropout) for module in net.modules()) == 2
    # 16 x 8 + 8, 8 x 8 + 8, 8 x 3 + 3.
    assert sum(parameter.numel() for parameter in net.parameters()) == 136 + 72 + 27
    assert model.build_discriminator((1, 4, 4))(torch.zeros(5, 1, 4, 4)).shape == (5, 1)


def test_points_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mlp_classifier takes images, not points \(2,\)"):
        MLPClassifier().build_classifier((2,), 3)
