"""Orthonormal regularization: the penalties of both papers against NumPy, and gradients by finite differences."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, constrain
from lipschitz.constraints.orthonormal_regularization import (
    OrthonormalRegularization,
    entrywise_distance,
    spectral_distance,
    squared_frobenius_distance,
)
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import WeightedLayer, weighted_layers

BATCH = Batch(torch.zeros(1, 2, dtype=torch.float64), None)
NO_DRAWS = torch.Generator()
SHAPES = [(2, 5), (5, 2), (3, 3), (1, 4), (4, 1)]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(2, 3, 3), deconv=nn.ConvTranspose2d(3, 4, 2), linear=nn.Linear(5, 6))
    ).double()


def matrix(layer: WeightedLayer) -> np.ndarray:
    weight = layer.weight.detach().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(1, 0, 2, 3)
    return weight.reshape(len(weight), -1)


def penalty(constraint: OrthonormalRegularization, net: nn.Module) -> Tensor:
    return constraint.penalty(net, BATCH, NO_DRAWS)


def test_a_diagonal_matrix_by_hand() -> None:
    layer = nn.Linear(2, 2).double()
    layer.weight.data = torch.diag(torch.tensor([2.0, 0.5], dtype=torch.float64))
    # W Wᵀ - I = diag(3, -3/4)
    assert penalty(OrthonormalRegularization(weight=2.0), layer).item() == pytest.approx(2 * (9 + 9 / 16))
    entrywise = OrthonormalRegularization(weight=2.0, norm="entrywise")
    assert penalty(entrywise, layer).item() == pytest.approx(2 * (3 + 3 / 4))


def test_the_frobenius_form_sums_squared_distances_of_squared_sigmas_to_one() -> None:
    ours = net()
    sigmas = [np.linalg.svd(matrix(layer), compute_uv=False) for _, layer in weighted_layers(ours)]
    expected = 0.25 * sum(((s**2 - 1) ** 2).sum() for s in sigmas)
    assert penalty(OrthonormalRegularization(weight=0.25), ours).item() == pytest.approx(expected, rel=1e-12)


def test_the_entrywise_form_sums_absolute_values_of_the_filters_gram_matrix() -> None:
    ours = net()
    matrices = [matrix(layer) for _, layer in weighted_layers(ours)]
    assert {len(m) > m.shape[1] for m in matrices} == {True, False}, "the test needs tall and wide matrices"
    expected = 0.25 * sum(np.abs(m @ m.T - np.eye(len(m))).sum() for m in matrices)
    entrywise = OrthonormalRegularization(weight=0.25, norm="entrywise")
    assert penalty(entrywise, ours).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_both_gram_matrices_give_the_frobenius_form_up_to_a_constant(shape: tuple[int, int]) -> None:
    w = draw(*shape).numpy()
    rows, columns = shape
    ours = squared_frobenius_distance(torch.from_numpy(w)).item()
    assert ((w.T @ w - np.eye(columns)) ** 2).sum() == pytest.approx(ours + max(columns - rows, 0), rel=1e-12)
    assert ((w @ w.T - np.eye(rows)) ** 2).sum() == pytest.approx(ours + max(rows - columns, 0), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_of_the_frobenius_form_by_hand(shape: tuple[int, int]) -> None:
    weight = draw(*shape).requires_grad_()
    (gradient,) = torch.autograd.grad(squared_frobenius_distance(weight), weight)
    w = weight.detach().numpy()
    assert_allclose(gradient, 4 * w @ (w.T @ w - np.eye(shape[1])), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("distance", [squared_frobenius_distance, entrywise_distance])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradcheck(distance: object, shape: tuple[int, int]) -> None:
    assert torch.autograd.gradcheck(distance, (draw(*shape, seed=3).requires_grad_(),))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_it_is_zero_only_at_orthonormal_weights(rows: int, columns: int, seed: int) -> None:
    u, s, vh = np.linalg.svd(draw(rows, columns, seed=seed).numpy(), full_matrices=False)
    orthonormal = torch.from_numpy(u @ vh)
    assert squared_frobenius_distance(orthonormal).item() == pytest.approx(0, abs=1e-20)
    if rows <= columns:
        assert entrywise_distance(orthonormal).item() == pytest.approx(0, abs=1e-12)
    s[0] = 1.5
    away = torch.from_numpy(u @ np.diag(s) @ vh)
    assert squared_frobenius_distance(away).item() >= 1.25**2 * (1 - 1e-9)
    assert entrywise_distance(away).item() >= 1.25 * (1 - 1e-9)


def test_the_effective_weight_of_a_reparametrised_layer_is_penalised() -> None:
    constraints = [OrthonormalRegularization(weight=1.0), SpectralNormalization()]
    layer = nn.Linear(2, 2).double()
    layer.weight.data = torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64))
    ours = constrain(layer, constraints, (2,))
    value = penalty(constraints[0], ours)
    assert value.item() == pytest.approx((1 / 16 - 1) ** 2, rel=1e-12)
    value.backward()
    assert layer.parametrizations["weight"].original.grad.norm() > 0


def test_gradient_descent_brings_all_singular_values_to_one() -> None:
    layer = net().conv
    constraint = OrthonormalRegularization(weight=0.05)
    optimiser = torch.optim.SGD([layer.weight], lr=1.0)
    before = np.linalg.svd(matrix(layer), compute_uv=False)
    for _ in range(200):
        optimiser.zero_grad()
        penalty(constraint, layer).backward()
        optimiser.step()
    assert np.abs(before - 1).max() > 0.1
    assert_allclose(np.linalg.svd(matrix(layer), compute_uv=False), 1, atol=1e-6)


def test_default_and_invalid_values() -> None:
    assert OrthonormalRegularization().weight == 1e-3
    assert OrthonormalRegularization().norm == "frobenius"
    for wrong in ({"weight": -1.0}, {"norm": "nuclear"}):
        with pytest.raises(ValidationError):
            OrthonormalRegularization(**wrong)


def test_biggan_s_form_leaves_out_the_diagonal() -> None:
    layer = nn.Linear(2, 2).double()
    layer.weight.data = torch.tensor([[3.0, 4.0], [1.0, 2.0]], dtype=torch.float64)
    # The rows have the inner product 11, which stands at two places.
    form = OrthonormalRegularization(weight=0.5, norm="off_diagonal")
    assert penalty(form, layer).item() == pytest.approx(0.5 * 2 * 11**2)
    penalty(form, layer).backward()
    # d 2 λ (a b)² = 4 λ (a b) (b, a).
    assert_allclose(layer.weight.grad, 22 * np.array([[1.0, 2.0], [3.0, 4.0]]))
    ours = net()
    grams = [matrix(layer) @ matrix(layer).T for _, layer in weighted_layers(ours)]
    expected = sum((gram**2).sum() - (np.diag(gram) ** 2).sum() for gram in grams)
    assert penalty(OrthonormalRegularization(weight=1.0, norm="off_diagonal"), ours).item() == pytest.approx(expected)


def test_biggan_s_form_is_never_negative_by_rounding() -> None:
    # Rows of norm 10, almost orthogonal: the sum of all squares is 2e4 times larger than that off the diagonal.
    rng = torch.Generator().manual_seed(0)
    layer = nn.Linear(512, 512)
    start = torch.linalg.qr(torch.randn(512, 512, generator=rng, dtype=torch.float64)).Q
    layer.weight.data = (10 * (start + 2e-6 * torch.randn(512, 512, generator=rng))).float()
    gram = layer.weight.detach().double() @ layer.weight.detach().double().T
    expected = float((gram - gram.diagonal().diag()).square().sum())
    found = penalty(OrthonormalRegularization(weight=1.0, norm="off_diagonal"), layer).item()
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_srip_s_estimate_is_at_most_the_spectral_norm_and_near_it(shape: tuple[int, int]) -> None:
    weight = draw(*shape, seed=3)
    small = weight @ weight.T if shape[0] <= shape[1] else weight.T @ weight
    difference = small - torch.eye(len(small), dtype=torch.float64)
    exact = torch.linalg.matrix_norm(difference, 2).item()
    found = [spectral_distance(weight, torch.Generator().manual_seed(seed)).item() for seed in range(20)]
    assert max(found) <= exact * (1 + 1e-12)
    assert max(found) >= 0.9 * exact
    # By hand, from the same random vector.
    x = torch.randn(len(small), generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    first = difference.numpy() @ x
    assert found[0] == pytest.approx(np.linalg.norm(difference.numpy() @ first) / np.linalg.norm(first))


def test_srip_of_an_orthonormal_weight_is_zero_with_a_finite_gradient() -> None:
    weight = torch.eye(3, 5, dtype=torch.float64, requires_grad=True)
    value = spectral_distance(weight, torch.Generator())
    assert value.item() == 0
    value.backward()
    assert weight.grad is not None
    assert torch.isfinite(weight.grad).all()
