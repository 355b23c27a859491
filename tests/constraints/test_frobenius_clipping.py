"""Frobenius clipping: W <- W / max(1, ‖W‖_F / c), the projection of the weights of layers."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pydantic import ValidationError
from torch import nn

from lipschitz.constraints.frobenius_clipping import FrobeniusClipping
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import raw_weight, weighted_layers


def net(scale: float = 1.0) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 3, 3),
            norm=nn.BatchNorm2d(3),
            deconv=nn.ConvTranspose2d(3, 2, 2),
            flatten=nn.Flatten(),
            output=nn.Linear(32, 1),
        )
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=scale)
    return net


def arrays(net: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in net.named_parameters()}


def projected(matrix: np.ndarray, c: float) -> np.ndarray:
    layer = nn.Linear(*reversed(matrix.shape), bias=False).double()
    layer.weight = nn.Parameter(torch.from_numpy(matrix.copy()))
    FrobeniusClipping(c=c).project(layer)
    return layer.weight.detach().numpy()


def test_a_matrix_by_hand() -> None:
    matrix = np.array([[3.0, 0.0], [0.0, 4.0]])
    assert_allclose(projected(matrix, 1.0), matrix / 5, rtol=1e-15)
    assert_allclose(projected(matrix, 2.5), matrix / 2, rtol=1e-15)


def test_weights_outside_the_ball_get_norm_c_and_other_parameters_are_unchanged() -> None:
    ours = net()
    before = arrays(ours)
    FrobeniusClipping(c=0.7).project(ours)
    for name, value in arrays(ours).items():
        if name in {"conv.weight", "deconv.weight", "output.weight"}:
            norm = np.sqrt((before[name] ** 2).sum())
            assert norm > 0.7, "the test needs weights outside the ball"
            assert_allclose(value, before[name] * 0.7 / norm, rtol=1e-12, err_msg=name)
        else:
            assert_array_equal(value, before[name], err_msg=name)


def test_weights_inside_the_ball_stay_bit_identical() -> None:
    ours = net(scale=0.01)
    before = arrays(ours)
    FrobeniusClipping().project(ours)
    for name, value in arrays(ours).items():
        assert_array_equal(value, before[name], err_msg=name)


matrices = st.lists(st.floats(-10, 10, allow_subnormal=False), min_size=6, max_size=6).map(
    lambda values: np.array(values).reshape(2, 3)
)


@given(matrices, st.floats(0.1, 10))
def test_the_projection_is_idempotent_and_maps_into_the_ball(matrix: np.ndarray, c: float) -> None:
    once = projected(matrix, c)
    assert np.linalg.norm(once) <= c * (1 + 1e-12)
    assert np.linalg.norm(once, 2) <= c * (1 + 1e-12)
    assert_allclose(projected(once, c), once, rtol=1e-12)


@given(matrices, matrices, st.floats(0.1, 10))
def test_the_projection_is_the_nearest_point_of_the_ball(matrix: np.ndarray, other: np.ndarray, c: float) -> None:
    inside = other * min(1.0, c / max(np.linalg.norm(other), 1e-300))
    nearest = np.linalg.norm(matrix - projected(matrix, c))
    assert nearest <= np.linalg.norm(matrix - inside) + 1e-12 * (1 + nearest)


def test_a_zero_weight_stays_zero() -> None:
    assert_array_equal(projected(np.zeros((2, 2)), 1.0), np.zeros((2, 2)))


def test_the_raw_weight_of_a_reparametrised_layer_is_projected() -> None:
    ours = SpectralNormalization().wrap(net(), (2, 4, 4))
    FrobeniusClipping(c=0.7).project(ours)
    for _, layer in weighted_layers(ours):
        assert raw_weight(layer).norm().item() == pytest.approx(0.7, rel=1e-12)


def test_weights_are_changed_in_place() -> None:
    ours = net()
    before = [parameter.data_ptr() for parameter in ours.parameters()]
    FrobeniusClipping(c=0.1).project(ours)
    assert [parameter.data_ptr() for parameter in ours.parameters()] == before


def test_invalid_radii_are_refused() -> None:
    for c in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            FrobeniusClipping(c=c)
