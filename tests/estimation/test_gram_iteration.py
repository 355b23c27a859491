"""Certified bounds by Gram iteration against the SVD of the dense matrix that a layer applies."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, dense, linears, operator_sigma, transposed_convolutions
from torch import nn

from lipschitz.estimation.layers import AffineLayer
from lipschitz.estimation.upper_bound.gram_iteration import (
    convolution_bound,
    operator_bound,
    overlap_factor,
    spectral_norm_bound,
)
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis

ANY = st.one_of(convolutions(most_axes=3), transposed_convolutions(axes=(1, 2, 3)), linears())
ITERATIONS = [None, 0, 1, 6]


def exact(layer: AffineLayer, shape: tuple[int, ...]) -> float:
    return float(np.linalg.norm(dense(layer, torch.Size(shape)), 2))


def group_sigma(layer: AffineLayer) -> float:
    """Return the largest σ of the stored, reshaped kernel over the groups."""
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    return max(float(np.linalg.norm(part.detach().flatten(1).numpy(), 2)) for part in layer.weight.chunk(groups))


@settings(deadline=None, max_examples=150)
@given(ANY, st.sampled_from(ITERATIONS))
def test_the_bound_is_never_below_the_dense_matrix(drawn: Drawn, iterations: int | None) -> None:
    bound = operator_bound(*drawn, iterations=iterations)
    assert bound.shape == ()
    assert bound.item() >= exact(*drawn)


@settings(deadline=None, max_examples=150)
@given(ANY)
def test_sigma_of_the_kernel_times_the_overlap_factor_is_a_bound(drawn: Drawn) -> None:
    assert group_sigma(drawn.layer) * overlap_factor(*drawn) >= exact(*drawn) * (1 - 1e-12)


@settings(deadline=None, max_examples=60)
@given(convolutions(), st.integers(0, 2**32 - 1))
def test_weights_of_small_integers(drawn: Drawn, seed: int) -> None:
    layer, shape = drawn
    rng = np.random.default_rng(seed)
    layer.weight.data = torch.from_numpy(rng.integers(-1, 2, size=tuple(layer.weight.shape)).astype(float))
    assert operator_bound(layer, shape).item() >= exact(layer, shape)


@settings(deadline=None, max_examples=100)
@given(ANY)
def test_a_single_precision_weight_is_bounded_too(drawn: Drawn) -> None:
    layer, shape = drawn
    bound = operator_bound(layer.float(), shape)
    assert bound.dtype == torch.float32
    assert bound.double().item() >= exact(layer.double(), shape)


@settings(deadline=None, max_examples=60)
@given(linears())
def test_for_a_linear_layer_the_bound_is_the_norm(drawn: Drawn) -> None:
    assert operator_bound(*drawn).item() == pytest.approx(np.linalg.norm(drawn.layer.weight.detach(), 2), rel=1e-9)


def circulant(kernel: np.ndarray, size: int) -> np.ndarray:
    """Return the matrix ``(o n, i n)`` of a circular convolution with ``kernel`` ``(o, i, k)`` on n = ``size`` positions."""
    o, i, k = kernel.shape
    matrix = np.zeros((o, size, i, size))
    for position in range(size):
        for tap in range(k):
            matrix[:, position, :, (position + tap) % size] += kernel[:, :, tap]
    return matrix.reshape(o * size, i * size)


@pytest.mark.parametrize(("size", "padding"), [(7, 1), (8, 1), (9, 2)])
def test_the_circle_holds_the_input_and_one_padding(size: int, padding: int) -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        layer = nn.Conv1d(2, 3, 2 * padding + 1, padding=padding).double()
        expected = np.linalg.norm(circulant(layer.weight.detach().numpy(), size + padding), 2)
        assert operator_bound(layer, (2, size)).item() == pytest.approx(expected, rel=1e-9)


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(0, 1000))
def test_the_bounds_are_exact_for_windows_that_do_not_overlap(kernel: int, size: int, groups: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = nn.Conv2d(2, 2 * groups, kernel, stride=kernel, groups=groups).double()
    shape = torch.Size((2, size * kernel, size * kernel))
    assert operator_bound(layer, shape).item() == pytest.approx(exact(layer, shape), rel=1e-9)
    assert overlap_factor(layer, shape) == 1
    assert group_sigma(layer) == pytest.approx(exact(layer, shape))


def test_on_large_maps_the_bound_is_tight() -> None:
    torch.manual_seed(0)
    for layer in (nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(4, 6, 4, 2, padding=1), nn.ConvTranspose2d(6, 4, 4, 2, 1)):
        shape = torch.Size((layer.in_channels, 32, 32))
        true = operator_sigma(layer.double(), shape, tolerance=1e-6)
        assert true <= operator_bound(layer, shape).item() <= true * 1.01


def test_taps_that_only_multiply_padding_do_not_count() -> None:
    layer = nn.Conv2d(3, 4, 3, padding=1).double()
    centre = layer.weight.detach()[:, :, 1, 1]
    assert operator_bound(layer, (3, 1, 1)).item() == pytest.approx(np.linalg.norm(centre, 2), rel=1e-9)
    assert overlap_factor(layer, (3, 1, 1)) == 1


def test_dilation_with_stride() -> None:
    # With stride 2 and dilation 2 all three taps multiply the even pixels, so the norm is near 1 + 1 + 1 = 3. Counting
    # ceil(k / s) = 2 windows per pixel would give √2 √3 < 3.
    layer = nn.Conv1d(1, 1, 3, stride=2, dilation=2).double()
    layer.weight.data = torch.ones(1, 1, 3, dtype=torch.float64)
    shape = torch.Size((1, 101))
    true = exact(layer, shape)
    assert true > math.sqrt(2) * math.sqrt(3)
    assert true <= operator_bound(layer, shape).item() <= 3 * (1 + 1e-9)
    assert overlap_factor(layer, shape) == pytest.approx(math.sqrt(3))


def test_the_overlap_factor_by_hand() -> None:
    def factor(kernel: int, stride: int, dilation: int = 1) -> float:
        return overlap_factor(nn.Conv2d(1, 1, kernel, stride, dilation=dilation), (1, 40, 40))

    # √ of the product over both axes of ceil(k gcd(s, d) / s).
    assert [factor(3, 1), factor(4, 2), factor(3, 2), factor(3, 4)] == [3, 2, 2, 1]
    assert [factor(3, 2, 2), factor(4, 4, 2), factor(3, 2, 3)] == [3, 2, 2]
    assert overlap_factor(nn.Linear(3, 2), (3,)) == 1
    assert overlap_factor(nn.Conv2d(1, 1, 3, padding=1), (1, 2, 2)) == 2, "a pixel of four is seen four times"


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_padding_by_name(padding: str, kernel: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 2, kernel, padding=padding, dilation=2).double()
    shape = torch.Size((1, 21, 20))
    assert exact(layer, shape) <= operator_bound(layer, shape).item() <= 1.2 * exact(layer, shape)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_same_padding_puts_the_odd_zero_after_the_input() -> None:
    layer = nn.Conv1d(1, 1, 2, padding="same").double()
    layer.weight.data = torch.tensor([[[2.0, 30.0]]], dtype=torch.float64)
    assert exact(layer, (1, 1)) == 2
    assert operator_bound(layer, (1, 1)).item() == pytest.approx(2, rel=1e-9)


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@pytest.mark.parametrize("bound", [operator_bound, overlap_factor])
def test_another_padding_mode_is_refused(mode: str, bound: object) -> None:
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode)
    with pytest.raises(ValueError, match=f"padding mode '{mode}' is not supported; supported: zeros"):
        bound(layer, (1, 4, 4))


@pytest.mark.parametrize("iterations", [None, 1, 6])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), (2, 5, 5)),
        (nn.Conv1d(2, 3, 3, dilation=2), (2, 7)),
        (nn.ConvTranspose2d(3, 2, 4, 2, 1, output_padding=1), (3, 4, 4)),
        (nn.Linear(4, 3), (4,)),
    ],
)
def test_the_gradient_is_that_of_finite_differences(
    layer: AffineLayer, shape: tuple[int, ...], iterations: int | None
) -> None:
    torch.manual_seed(0)
    layer.double().reset_parameters()
    bound = operator_bound(layer, shape, iterations=iterations)
    (gradient,) = torch.autograd.grad(bound, layer.weight)
    direction = torch.randn_like(gradient)
    with torch.no_grad():
        start, values = layer.weight.clone(), []
        for step in (1e-6, -1e-6):
            layer.weight.copy_(start + step * direction)
            values.append(operator_bound(layer, shape, iterations=iterations).item())
        layer.weight.copy_(start)
        assert operator_bound(layer, shape, iterations=iterations).item() == bound.item()
    assert (gradient * direction).sum().item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("iterations", [None, 3])
def test_a_zero_weight_has_bound_and_gradient_zero(iterations: int | None) -> None:
    layer = nn.Conv2d(2, 2, 3, padding=1).double()
    nn.init.zeros_(layer.weight)
    bound = operator_bound(layer, (2, 4, 4), iterations=iterations)
    bound.backward()
    assert bound.item() == 0
    assert torch.equal(layer.weight.grad, torch.zeros_like(layer.weight))


@pytest.mark.parametrize("factor", [1e-300, 1e300])
def test_large_and_small_scales_do_not_overflow_or_vanish(factor: float) -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(2, 2, 3, padding=1).double()
    for iterations in (None, 12):
        plain = operator_bound(layer, (2, 6), iterations=iterations).item()
        scaled = convolution_bound(
            layer.weight * factor, [ConvolutionAxis(6, 6, 3, padding=1)], iterations=iterations
        ).item()
        assert scaled == pytest.approx(factor * plain, rel=1e-9)


def test_each_iteration_doubles_the_order_of_the_schatten_norm() -> None:
    matrix = np.random.default_rng(0).normal(size=(5, 8))
    values = np.linalg.svd(matrix, compute_uv=False)
    for iterations in range(7):
        order = 2.0 ** (iterations + 1)
        expected = (values**order).sum() ** (1 / order)
        for each in (matrix, matrix.T):
            assert spectral_norm_bound(torch.from_numpy(each), iterations).item() == pytest.approx(expected, rel=1e-9)
    assert spectral_norm_bound(torch.from_numpy(matrix), None).item() == pytest.approx(values[0], rel=1e-9)


@pytest.mark.parametrize("taps", [1, 10, 200])
def test_the_margin_holds_the_largest_rounding_error_of_the_sum_over_the_taps(taps: int) -> None:
    # A kernel of ones: at frequency zero the block is the number of taps t, and its sum may be wrong by (t + 8) ε t.
    weight = torch.ones(1, 1, taps, dtype=torch.float64)
    bound = convolution_bound(weight, [ConvolutionAxis(400, 400, taps, padding=taps - 1)]).item()
    error = (taps + 8) * np.finfo(float).eps
    assert error <= bound / taps - 1 <= error + 1e-13


def test_many_blocks_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Conv2d(3, 2, 3, padding=1, dtype=torch.float64)
    whole = operator_bound(layer, (3, 9, 9)).item()
    monkeypatch.setattr("lipschitz.estimation.upper_bound.gram_iteration.MAX_BLOCK_ENTRIES", 40)
    assert operator_bound(layer, (3, 9, 9)).item() == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("iterations", [None, 4])
def test_the_meta_device_is_enough(iterations: int | None) -> None:
    for layer, shape in ((nn.Conv2d(2, 4, 3, 2, 1, groups=2), (2, 8, 8)), (nn.Linear(3, 2), (3,))):
        bound = operator_bound(layer.to("meta"), shape, iterations=iterations)
        assert bound.is_meta
        assert bound.requires_grad
