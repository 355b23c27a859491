"""Orthogonal layers by the Cayley map, against SciPy's dense linear algebra in float64."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, dense, linears, transposed_convolutions
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import Tensor, nn

from lipschitz.constraints.base import Refusal, constrain
from lipschitz.constraints.orthogonal import Orthogonal, OrthogonalWeight, cayley, nearest_frame
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.constraints.weight_normalization import WeightNormalization
from lipschitz.estimation.layers import WeightedLayer, raw_weight

ANY = st.one_of(convolutions(), transposed_convolutions(), linears())
# (Outputs, inputs): tall, wide, square, one row, one column, one number.
MATRICES = [(5, 3), (3, 5), (4, 4), (1, 6), (6, 1), (1, 1)]
SLACK = 1e-6
"""Largest distance of the singular values of a float64 layer to one: twice MARGIN, and rounding."""


def orthogonal(layer: WeightedLayer, shape: tuple[int, ...], **fields: float) -> WeightedLayer:
    return constrain(layer.double(), [Orthogonal(**fields)], shape)  # type: ignore[return-value]


def linear(rows: int, columns: int, seed: int = 0) -> WeightedLayer:
    torch.manual_seed(seed)
    return orthogonal(nn.Linear(columns, rows), (columns,))


def moved(layer: WeightedLayer, scale: float, seed: int = 1) -> WeightedLayer:
    """Return the layer after changing every entry of its raw weight, as training does."""
    change = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with torch.no_grad():
        raw_weight(layer).add_(scale * change)
    return layer


def by_scipy(lower: np.ndarray) -> np.ndarray:
    """Return the first columns of (I - S/2)⁻¹ (I + S/2), computed with the full matrix S."""
    n, k = lower.shape
    padded = np.zeros((n, n))
    padded[:, :k] = lower
    skew = padded - padded.T
    return scipy.linalg.solve(np.eye(n) - skew / 2, np.eye(n) + skew / 2)[:, :k]


def effective(layer: WeightedLayer) -> np.ndarray:
    return layer.weight.detach().numpy()


def test_a_rotation_by_hand() -> None:
    # In two dimensions the Cayley map is the rotation by 2 atan(s/2), a right angle for s = 2.
    lower = torch.tensor([[[0.0, 0.0], [2.0, 0.0]]], dtype=torch.float64)
    assert_allclose(cayley(lower)[0], [[0, -1], [1, 0]], atol=1e-15)
    # With one column S is again [[0, -2], [2, 0]], and the first column of the rotation is returned.
    assert_allclose(cayley(lower[..., :1])[0], [[0], [1]], atol=1e-15)


@settings(deadline=None, max_examples=80)
@given(n=st.integers(1, 8), less=st.integers(0, 7), exponent=st.integers(-6, 3), seed=st.integers(0, 1000))
def test_the_reduced_system_matches_the_full_system(n: int, less: int, exponent: int, seed: int) -> None:
    k = max(1, n - less)
    lower = np.tril(10.0**exponent * np.random.default_rng(seed).normal(size=(2, n, k)), -1)
    ours = cayley(torch.from_numpy(lower)).numpy()
    for matrix, expected in zip(ours, map(by_scipy, lower), strict=True):
        assert_allclose(matrix, expected, atol=1e-9)


def test_the_cayley_map_matches_the_exponential_to_second_order() -> None:
    lower = np.tril(np.random.default_rng(0).normal(size=(6, 6)), -1)
    errors = []
    for scale in (1e-2, 1e-3):
        small = scale * lower
        expected = scipy.linalg.expm(small - small.T)
        errors.append(np.abs(cayley(torch.from_numpy(small)[None])[0].numpy() - expected).max())
    # The third-order terms are S³/4 and S³/6, so the error decreases by 1000 if the change decreases by 10.
    assert errors[1] > 0
    assert errors[0] / errors[1] == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize(("rows", "columns"), MATRICES)
def test_it_starts_from_the_nearest_orthonormal_matrix(rows: int, columns: int) -> None:
    layer = linear(rows, columns)
    expected, _ = scipy.linalg.polar(raw_weight(layer).detach().numpy())
    assert_allclose(effective(layer), expected, rtol=0, atol=SLACK)


@pytest.mark.parametrize(("rows", "columns"), MATRICES)
def test_it_moves_by_the_cayley_map_of_the_lower_triangle(rows: int, columns: int) -> None:
    layer = linear(rows, columns)
    start = raw_weight(layer).detach().numpy().copy()
    moved(layer, 0.7)
    change = raw_weight(layer).detach().numpy() - start
    if rows < columns:
        start, change = start.T, change.T
    u, _, vh = scipy.linalg.svd(start)
    k = start.shape[1]
    frame = np.hstack([u[:, :k] @ vh, u[:, k:]])
    expected = frame @ by_scipy(np.tril(change, -1))
    assert_allclose(effective(layer), expected.T if rows < columns else expected, rtol=0, atol=SLACK)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_frame_is_orthogonal_for_any_rank(rank: int) -> None:
    rng = np.random.default_rng(rank)
    matrix = rng.normal(size=(5, rank)) @ rng.normal(size=(rank, 3))
    (frame,) = nearest_frame(torch.from_numpy(matrix)[None]).numpy()
    assert frame.shape == (5, 5)
    assert_allclose(frame.T @ frame, np.eye(5), atol=1e-14)


@pytest.mark.parametrize(("rows", "columns"), MATRICES)
def test_rows_or_columns_stay_orthonormal_through_training(rows: int, columns: int) -> None:
    layer = linear(rows, columns)
    before = effective(layer).copy()
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    x, y = (torch.randn(32, size, dtype=torch.float64) for size in (columns, rows))
    losses = []
    for _ in range(50):
        optimiser.zero_grad()
        loss = (layer(x) - y).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    weight = effective(layer)
    gram = weight @ weight.T if rows <= columns else weight.T @ weight
    assert_allclose(gram, np.eye(min(rows, columns)), rtol=0, atol=SLACK)
    if (rows, columns) != (1, 1):
        assert np.abs(weight - before).max() > 0.1
        assert losses[-1] < losses[0]


@settings(deadline=None, max_examples=100)
@given(drawn=ANY, coefficient=st.sampled_from([1.0, 0.3]), exponent=st.integers(-2, 3), seed=st.integers(0, 1000))
def test_the_operator_norm_is_bounded_for_any_raw_weight(
    drawn: Drawn, coefficient: float, exponent: int, seed: int
) -> None:
    layer, shape = drawn
    moved(orthogonal(layer, tuple(shape), coefficient=coefficient), 10.0**exponent, seed)
    assert np.linalg.norm(dense(layer, shape), 2) <= coefficient


def test_a_convolution_is_divided_by_the_root_of_the_number_of_windows_per_pixel() -> None:
    torch.manual_seed(0)
    for layer, size, seen in (
        (nn.Conv2d(2, 3, 3, padding=1), 5, 9),
        (nn.Conv2d(2, 3, 4, stride=2, padding=1), 8, 4),
        (nn.Conv2d(2, 3, 3, padding=1), 1, 1),
        (nn.Conv1d(2, 3, 3, dilation=2, stride=2), 9, 3),
        (nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1), 4, 4),
    ):
        shape = (2,) + (size,) * len(layer.kernel_size)
        weight = effective(moved(orthogonal(layer, shape), 1.0))
        # A transposed convolution stores the kernel of its adjoint, with the input channels first.
        values = np.linalg.svd(weight.reshape(len(weight), -1), compute_uv=False)
        assert_allclose(values, 1 / math.sqrt(seen), rtol=SLACK)


def test_a_convolution_with_disjoint_windows_is_orthogonal() -> None:
    torch.manual_seed(0)
    layer = moved(orthogonal(nn.Conv2d(3, 12, 2, stride=2), (3, 6, 6)), 1.0)
    values = np.linalg.svd(dense(layer, torch.Size((3, 6, 6))), compute_uv=False)
    assert_allclose(values, 1, rtol=SLACK)


def test_groups_move_separately() -> None:
    torch.manual_seed(0)
    layer = orthogonal(nn.Conv1d(4, 6, 1, groups=2), (4, 3))
    before = effective(layer).copy()
    with torch.no_grad():
        raw_weight(layer)[3:].add_(torch.randn(3, 2, 1, dtype=torch.float64))
    weight = effective(layer)
    assert_allclose(weight[:3], before[:3], rtol=0, atol=1e-15)
    assert np.abs(weight[3:] - before[3:]).max() > 0.01
    for part in (weight[:3, :, 0], weight[3:, :, 0]):
        assert_allclose(part.T @ part, np.eye(2), rtol=0, atol=SLACK)


@pytest.mark.parametrize(("rows", "columns"), MATRICES)
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_every_direction_of_the_manifold_is_reached(rows: int, columns: int, scale: float) -> None:
    layer = moved(linear(rows, columns), scale)
    (step,) = layer.parametrizations["weight"]  # type: ignore[union-attr, index]

    def matrix(raw: Tensor) -> Tensor:
        return step.bounded(raw)

    jacobian = torch.autograd.functional.jacobian(matrix, raw_weight(layer).detach())
    values = np.linalg.svd(jacobian.reshape(rows * columns, -1).numpy(), compute_uv=False)
    n, k = max(rows, columns), min(rows, columns)
    dimension = n * k - k * (k + 1) // 2
    assert np.all(values[:dimension] > 1e-3)
    assert np.all(values[dimension:] < 1e-12)
    if scale == 0:
        # The singular value is √2 for a rotation within the span of the columns and 1 for moving out of the span. In
        # the canonical metric of the Stiefel manifold, which weights rotations by 1/2, both have length 1.
        turns = k * (k - 1) // 2
        assert_allclose(values[:dimension], [math.sqrt(2)] * turns + [1.0] * (dimension - turns), rtol=1e-9)


def test_gradcheck_and_gradgradcheck() -> None:
    torch.manual_seed(0)
    for layer, shape in (
        (nn.Linear(2, 3), (2,)),
        (nn.Linear(3, 2), (3,)),
        (nn.Linear(3, 3), (3,)),
        (nn.Conv1d(2, 2, 3, groups=2), (2, 5)),
    ):
        net = moved(orthogonal(layer, shape), 0.5)
        (step,) = net.parametrizations["weight"]  # type: ignore[union-attr, index]
        raw = raw_weight(net).detach().requires_grad_()
        assert torch.autograd.gradcheck(step, raw)
        assert torch.autograd.gradgradcheck(step, raw)


def test_the_upper_triangle_has_no_effect() -> None:
    layer = linear(4, 3)
    before = effective(layer).copy()
    with torch.no_grad():
        raw_weight(layer).add_(torch.ones(4, 3, dtype=torch.float64).triu())
    assert_allclose(effective(layer), before, rtol=0, atol=1e-15)


def test_a_later_reparametrisation_is_refused() -> None:
    shape, net = (3,), nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(Refusal, match="orthogonal no longer bounds the weight of '0'"):
        constrain(net, [Orthogonal(), WeightNormalization()], shape)
    # Clipping changes the raw weight, and the effective weight stays orthonormal.
    clipped = constrain(nn.Sequential(nn.Linear(3, 3)), [Orthogonal(), WeightClipping(initial=True, c=0.1)], shape)
    weight = clipped[0].weight.detach().double().numpy()  # type: ignore[index]
    assert_allclose(weight @ weight.T, np.eye(3), rtol=0, atol=1e-5)


def test_unsupported_modules_and_coefficients_are_refused() -> None:
    with pytest.raises(Refusal, match=r"orthogonal cannot bound '1' \(LayerNorm\)"):
        constrain(nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)), [Orthogonal()], (3,))
    with pytest.raises(ValidationError, match="coefficient"):
        Orthogonal(coefficient=0.0)


def test_the_state_dict_contains_the_frame() -> None:
    layer, other = moved(linear(4, 3), 0.5), linear(4, 3, seed=5)
    assert isinstance(layer.parametrizations["weight"][0], OrthogonalWeight)  # type: ignore[union-attr, index]
    assert not np.allclose(effective(layer), effective(other))
    other.load_state_dict(layer.state_dict())
    assert np.array_equal(effective(layer), effective(other))


def test_the_bound_survives_a_change_of_dtype() -> None:
    torch.manual_seed(0)
    ours = constrain(nn.Sequential(nn.Linear(6, 4)).double(), [Orthogonal()], (6,))
    weight = ours[0].weight.detach().clone()
    for dtype in (torch.float32, torch.float64):
        ours = ours.to(dtype)
        assert ours[0].weight.dtype == dtype
        assert torch.linalg.matrix_norm(ours[0].weight.double(), 2) <= 1
        torch.testing.assert_close(ours[0].weight.double(), weight, rtol=0, atol=1e-6)
