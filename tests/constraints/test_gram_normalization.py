"""Gram normalization against NumPy's norms of dense operators, at the true input size."""

import numpy as np
import pytest
import torch
from layer_strategies import dense
from torch import nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import constrain
from lipschitz.constraints.gram_normalization import GramNormalization
from lipschitz.estimation.layers import WeightedLayer, raw_weight
from lipschitz.estimation.upper_bound.gram_iteration import operator_bound


def normalized(layer: WeightedLayer, shape: tuple[int, ...], **fields: float) -> WeightedLayer:
    return constrain(layer.double(), [GramNormalization(**fields)], shape)


def test_a_rank_one_matrix_is_divided_by_its_norm() -> None:
    # For rank one, Gram iteration is exact: the norm is √(9 + 16).
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 4.0]])
    assert torch.allclose(normalized(layer, (2,)).weight, torch.tensor([[0.6, 0.8]]).double(), rtol=1e-6)


def test_the_weight_is_c_times_the_raw_weight_over_its_bound() -> None:
    torch.manual_seed(0)
    for layer, shape in (
        (nn.Conv2d(2, 4, 4, 2, padding=1, groups=2), (2, 6, 6)),
        (nn.Conv1d(2, 3, 3, dilation=2), (2, 9)),
        (nn.ConvTranspose2d(3, 2, 4, 2, padding=1), (3, 4, 4)),
        (nn.Linear(4, 3), (4,)),
    ):
        bound = operator_bound(layer.double(), shape, iterations=3).item()
        expected = 0.5 * layer.weight.detach() / bound
        assert torch.allclose(normalized(layer, shape, coefficient=0.5, iterations=3).weight, expected, rtol=1e-6)


def test_the_bound_is_tight_on_large_maps() -> None:
    torch.manual_seed(0)
    for layer in (nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 4, 2, padding=1), nn.ConvTranspose2d(2, 3, 4, 2, 1)):
        shape = (2, 12, 12)
        assert 0.93 <= np.linalg.norm(dense(normalized(layer, shape), torch.Size(shape)), 2) <= 1


def test_the_bound_depends_on_the_true_input_size() -> None:
    # On one pixel only the central tap acts, with norm 1. On large maps a 3x3 kernel of ones has norm 9.
    weights = []
    for size in (1, 20):
        layer = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        nn.init.ones_(layer.weight)
        weights.append(normalized(layer, (1, size, size)).weight[0, 0, 1, 1].item())
    assert weights[0] == pytest.approx(1, rel=1e-6)
    assert weights[1] == pytest.approx(1 / 9, rel=1e-6)


def test_the_bound_is_differentiated() -> None:
    torch.manual_seed(0)
    for layer, shape in ((nn.Conv2d(2, 2, 3, 2, padding=1), (2, 4, 4)), (nn.Linear(3, 2), (3,))):
        net = normalized(layer, shape, iterations=2)
        (step,) = net.parametrizations["weight"]
        raw = raw_weight(net).detach().requires_grad_()
        assert torch.autograd.gradcheck(step, raw)
        # W and 2 W give the same layer, so the gradient is orthogonal to W.
        weighted = (step(raw) * torch.randn_like(raw)).sum()
        (gradient,) = torch.autograd.grad(weighted, raw)
        assert (gradient * raw).sum().item() == pytest.approx(0, abs=1e-9)


def test_it_keeps_no_state() -> None:
    net = normalized(nn.Conv2d(1, 2, 3), (1, 4, 4))
    assert set(net.state_dict()) == {"bias", "parametrizations.weight.original"}
    assert parametrize.is_parametrized(net, "weight")
