"""Spectral complexity of small networks by hand, and row norms of convolutions against dense matrices."""

import math

import pytest
import torch
from torch import nn

from lipschitz.metrics.spectral_complexity import row_norm_sums, spectral_complexity


def test_formula_by_hand() -> None:
    # One layer: its (2, 1) norm. Two layers: 2 · 3 · ((8/2)^(2/3) + (81/3)^(2/3))^(3/2).
    assert spectral_complexity([5.0], [7.0]) == pytest.approx(7)
    assert spectral_complexity([2.0, 3.0], [8.0, 81.0]) == pytest.approx(6 * (4 ** (2 / 3) + 9) ** 1.5)
    # A network with a layer of zero is constant.
    assert spectral_complexity([0.0, 3.0], [0.0, 4.0]) == 0
    with pytest.raises(ValueError, match="1 norms and 2 sums of rows"):
        spectral_complexity([1.0], [1.0, 1.0])


def test_row_norms_by_hand() -> None:
    # Rows (3, 4) and (0, 2): 5 + 2. A 3x3 kernel of ones: 3; on a 2x2 image with padding 1 it has four taps inside
    # everywhere, so four rows of norm 2.
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Flatten(), nn.Linear(4, 2)).double()
    net[0].weight.data.fill_(1)
    net[2].weight.data = torch.tensor([[3.0, 4.0, 0, 0], [0, 0, 0, 2.0]]).double()
    found = row_norm_sums(net, (1, 2, 2))
    assert found == {"0": pytest.approx((3, 8)), "2": pytest.approx((7, 7))}
    start = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Flatten(), nn.Linear(4, 2)).double()
    start[0].weight.data.fill_(-1)
    start[2].weight.data = net[2].weight.data
    assert row_norm_sums(net, (1, 2, 2), start) == {"0": pytest.approx((6, 16)), "2": (0, 0)}


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2),
        nn.Conv2d(2, 3, 2, dilation=2, padding="same"),
        nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1),
        nn.Conv2d(2, 3, 3, padding=1, stride=2, padding_mode="circular"),
        # On a circle of five pixels the first and the last of six taps meet the same one.
        nn.Conv2d(2, 4, (6, 3), dilation=(1, 3), padding=(4, 3), groups=2, padding_mode="circular"),
    ],
)
def test_operator_rows_are_those_of_the_dense_matrix(layer: nn.Module) -> None:
    net = layer.double()
    inputs = torch.eye(2 * 5 * 6).double().view(-1, 2, 5, 6)
    matrix = (net(inputs) - net(torch.zeros_like(inputs))).flatten(1).T.detach()
    expected = float(torch.linalg.vector_norm(matrix, dim=1).sum())
    (found,) = row_norm_sums(nn.Sequential(net), (2, 5, 6)).values()
    assert found.operator == pytest.approx(expected)
    assert found.reshaped < found.operator
    assert math.isfinite(found.reshaped)


def test_a_dense_layer_acts_at_each_position() -> None:
    net = nn.Sequential(nn.Linear(2, 1)).double()
    net[0].weight.data = torch.tensor([[3.0, 4.0]]).double()
    assert row_norm_sums(net, (6, 2)) == {"0": pytest.approx((5, 30))}
