"""Frobenius penalty: values by hand, gradients by finite differences, and its bounds on the spectral norm."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pydantic import ValidationError
from torch import Tensor, nn
from torch.func import functional_call

from lipschitz.constraints.base import Batch
from lipschitz.constraints.frobenius_penalty import FrobeniusPenalty
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import weighted_layers

BATCH = Batch(torch.zeros(1, 2, dtype=torch.float64), None)
NO_DRAWS = torch.Generator()


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 3, 3),
            norm=nn.BatchNorm2d(3),
            deconv=nn.ConvTranspose2d(3, 4, 2),
            flatten=nn.Flatten(),
            output=nn.Linear(36, 1),
        )
    ).double()


def linear(weight: np.ndarray | list[list[float]]) -> nn.Linear:
    matrix = torch.tensor(np.asarray(weight), dtype=torch.float64)
    layer = nn.Linear(matrix.shape[1], matrix.shape[0]).double()
    layer.weight = nn.Parameter(matrix)
    return layer


def penalty(constraint: FrobeniusPenalty, net: nn.Module) -> Tensor:
    return constraint.penalty(net, BATCH, NO_DRAWS)


class Penalty(nn.Module):
    """The penalty as a function of the network's parameters."""

    def __init__(self, constraint: FrobeniusPenalty, net: nn.Module) -> None:
        super().__init__()
        self.constraint, self.net = constraint, net

    def forward(self) -> Tensor:
        return penalty(self.constraint, self.net)


def test_the_penalty_is_half_lambda_times_the_sum_of_squared_weights_without_biases() -> None:
    ours = net()
    expected = 0.3 / 2 * sum((layer.weight.detach().numpy() ** 2).sum() for _, layer in weighted_layers(ours))
    assert penalty(FrobeniusPenalty(weight=0.3), ours).item() == pytest.approx(expected, rel=1e-12)
    penalty(FrobeniusPenalty(weight=0.3), ours).backward()
    for name, parameter in ours.named_parameters():
        if name in {"conv.weight", "deconv.weight", "output.weight"}:
            assert_allclose(parameter.grad, 0.3 * parameter.detach(), rtol=1e-12, err_msg=name)
        else:
            assert parameter.grad is None, name


@pytest.mark.parametrize(("above", "expected"), [(None, 25.0), (2.0, 9.0), (5.0, 0.0), (7.0, 0.0)])
def test_norms_up_to_above_are_not_penalised(above: float | None, expected: float) -> None:
    layer = linear([[3.0, 0.0], [0.0, 4.0]])
    value = penalty(FrobeniusPenalty(weight=2.0, above=above), layer)
    assert value.item() == pytest.approx(expected, abs=1e-12)
    value.backward()
    # λ (‖W‖_F - c) W / ‖W‖_F
    factor = 2 * (5 - above) / 5 if above is not None and above < 5 else 2.0 if above is None else 0.0
    assert_allclose(layer.weight.grad, factor * np.diag([3.0, 4.0]), atol=1e-12)


def test_above_applies_to_each_layer_separately() -> None:
    ours = nn.Sequential(linear([[3.0, 4.0]]), linear([[1.0]]))
    assert penalty(FrobeniusPenalty(weight=2.0, above=2.0), ours).item() == pytest.approx(9, rel=1e-12)


@pytest.mark.parametrize("above", [None, 0.5])
def test_gradcheck(above: float | None) -> None:
    ours = Penalty(FrobeniusPenalty(weight=0.7, above=above), net())
    weights = {f"net.{name}.weight": layer.weight.detach() for name, layer in weighted_layers(ours.net)}
    assert all(weight.norm() > 0.5 for weight in weights.values()), "the test needs norms above the threshold"

    def value(*tensors: Tensor) -> Tensor:
        return functional_call(ours, dict(zip(weights, tensors, strict=True)), ())

    inputs = tuple(weight.clone().requires_grad_() for weight in weights.values())
    assert torch.autograd.gradcheck(value, inputs)


@pytest.mark.parametrize("above", [None, 0.5])
def test_the_gradient_of_a_zero_weight_is_zero(above: float | None) -> None:
    layer = linear([[0.0, 0.0], [0.0, 0.0]])
    value = penalty(FrobeniusPenalty(above=above), layer)
    value.backward()
    assert value.item() == 0
    assert_array_equal(layer.weight.grad, np.zeros((2, 2)))


def test_the_effective_weight_of_a_reparametrised_layer_is_penalised() -> None:
    normalized = SpectralNormalization().wrap(linear([[3.0, 0.0], [0.0, 4.0]]), (2,))
    assert penalty(FrobeniusPenalty(weight=2.0), normalized).item() == pytest.approx((9 + 16) / 16, rel=1e-12)


entries = st.floats(-3, 3, allow_subnormal=False)
matrices = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.lists(entries, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: np.array(values).reshape(shape)
    )
)


@given(matrices)
def test_the_norm_lies_between_sigma_and_root_rank_times_sigma(matrix: np.ndarray) -> None:
    norm = np.sqrt(penalty(FrobeniusPenalty(weight=2.0), linear(matrix)).item())
    sigmas = np.linalg.svd(matrix, compute_uv=False)
    slack = 1e-12 * (1 + sigmas[0])
    assert sigmas[0] <= norm + slack
    assert norm <= np.sqrt(np.linalg.matrix_rank(matrix)) * sigmas[0] + slack * len(sigmas)


def test_both_bounds_are_attained() -> None:
    rank_one, orthogonal = np.outer([1.0, 2.0], [2.0, -1.0]), np.diag([3.0, -3.0, 3.0])
    for matrix, ratio in ((rank_one, 1.0), (orthogonal, np.sqrt(3))):
        norm = np.sqrt(penalty(FrobeniusPenalty(weight=2.0), linear(matrix)).item())
        assert norm / np.linalg.norm(matrix, 2) == pytest.approx(ratio, rel=1e-12)


def test_default_and_invalid_values() -> None:
    assert FrobeniusPenalty().weight == 1e-4
    assert FrobeniusPenalty().above is None
    for wrong in ({"weight": -1.0}, {"above": 0.0}, {"above": -1.0}, {"above": float("inf")}):
        with pytest.raises(ValidationError):
            FrobeniusPenalty(**wrong)
