"""σ and spectra of reshaped kernels against NumPy's SVD, and σ of the kernel compared with σ of the operator."""

import math

import numpy as np
import pytest
import torch
from call_counters import AtenCalls
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, dense, linears, operator_sigma, transposed_convolutions
from numpy.testing import assert_allclose
from torch import nn

from lipschitz.estimation.layers import as_matrix, reshaped_weight
from lipschitz.estimation.sigma.layer_sigmas import effective_rank, reshaped_sigmas, spectra

ANY = st.one_of(convolutions(), transposed_convolutions(), linears())


def kernel_sigma(layer: nn.Module) -> float:
    return float(np.linalg.norm(reshaped_weight(layer).detach().numpy(), 2))


def has_interior_output(layer: nn.Conv1d | nn.Conv2d, shape: torch.Size) -> bool:
    """Return whether along each axis the kernel fits into the input at some output position."""
    axes = zip(layer.stride, layer.padding, layer.dilation, layer.kernel_size, shape[1:], strict=True)
    return all(
        math.ceil(int(padding) / stride) * stride - int(padding) + dilation * (kernel - 1) <= size - 1
        for stride, padding, dilation, kernel, size in axes
    )


@settings(deadline=None, max_examples=80)
@given(convolutions(grouped=False))
def test_with_an_interior_output_the_reshaped_sigma_is_a_lower_bound(drawn: Drawn) -> None:
    layer, shape = drawn
    assume(has_interior_output(layer, shape))
    assert kernel_sigma(layer) <= np.linalg.norm(dense(layer, shape), 2) * (1 + 1e-9)


def test_without_an_interior_output_the_reshaped_sigma_may_be_larger() -> None:
    # On a single pixel only the kernel's centre acts, and here it is zero.
    layer = nn.Conv2d(1, 1, 3, padding=1).double()
    layer.weight.data = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    layer.weight.data[0, 0, 1, 1] = 0.0
    assert operator_sigma(layer, torch.Size((1, 1, 1))) == 0
    assert spectra({"": layer})[""][0].item() == pytest.approx(math.sqrt(8))


def test_with_groups_the_reshaped_sigma_may_be_larger() -> None:
    # Two equal groups: their stacked kernels have √2 times the σ of each, but each group acts on its own channels.
    layer = nn.Conv1d(2, 2, 1, groups=2).double()
    layer.weight.data = torch.ones(2, 1, 1, dtype=torch.float64)
    assert operator_sigma(layer, torch.Size((2, 4))) == pytest.approx(1)
    assert spectra({"": layer})[""][0].item() == pytest.approx(math.sqrt(2))


def test_with_overlapping_windows_the_operator_sigma_is_larger() -> None:
    # Three outputs depend on every input: the kernel of ones has σ √3 as a matrix and nearly 3 as an operator.
    layer = nn.Conv1d(1, 1, 3, padding=1).double()
    layer.weight.data = torch.ones(1, 1, 3, dtype=torch.float64)
    assert spectra({"": layer})[""][0].item() == pytest.approx(math.sqrt(3))
    # The matrix is tridiagonal Toeplitz: 1 + 2 cos(π / (n + 1)).
    assert operator_sigma(layer, torch.Size((1, 50)), tolerance=1e-9) == pytest.approx(1 + 2 * math.cos(math.pi / 51))


def test_spectra_are_complete_descending_and_float64() -> None:
    layer = nn.ConvTranspose2d(3, 4, 2)
    values = spectra({"": layer})[""]
    matrix = layer.weight.detach().double().numpy().transpose(1, 0, 2, 3).reshape(4, 12)
    assert values.dtype == torch.float64
    assert_allclose(values, np.linalg.svd(matrix, compute_uv=False), rtol=1e-10)


@pytest.mark.parametrize("shape", [(60, 200), (200, 60)])
def test_small_singular_values_have_the_digits_that_are_promised(shape: tuple[int, int]) -> None:
    rng, expected = np.random.default_rng(0), np.geomspace(1, 1e-10, 60)
    left, right = (np.linalg.qr(rng.normal(size=(n, 60)))[0] for n in shape)
    layer = nn.Linear(shape[1], shape[0]).double()
    layer.weight.data = torch.from_numpy(left * expected @ right.T)
    found = spectra({"": layer})[""].numpy()
    assert (np.diff(found) <= 0).all()
    assert (abs(found - expected) <= 2.2e-16 / (2 * expected) + 1e-15)[expected > 1e-7].all()
    assert found[expected <= 1e-8].max() < 1e-7
    assert effective_rank(torch.from_numpy(found)) == pytest.approx(
        effective_rank(torch.from_numpy(expected)), rel=1e-6
    )


def test_a_matrix_of_low_rank_has_a_spectrum_without_nan() -> None:
    layer = nn.Linear(40, 30)
    layer.weight.data[:] = torch.outer(torch.arange(30.0), torch.ones(40))
    first, *others = spectra({"": layer})[""].tolist()
    assert first == pytest.approx(np.linalg.norm(np.arange(30.0)) * math.sqrt(40), rel=1e-12)
    assert all(0 <= other < 1e-7 * first for other in others)


@settings(deadline=None, max_examples=100)
@given(ANY, st.floats(1e-20, 1e20))
def test_sigma_by_the_gram_matrix_at_any_scale(drawn: Drawn, scale: float) -> None:
    layer = drawn.layer
    layer.weight.data *= scale
    matrix = as_matrix(layer.weight.detach(), isinstance(layer, nn.ConvTranspose2d)).numpy()
    assert reshaped_sigmas({"": layer})[""] == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-10)


def test_a_single_precision_weight_is_measured_in_double() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(300, 40)
    assert reshaped_sigmas({"": layer})[""] == pytest.approx(
        np.linalg.norm(layer.weight.detach().double().numpy(), 2), rel=1e-12
    )
    layer.weight.data.zero_()
    assert reshaped_sigmas({"": layer})[""] == 0


def layers_of_few_shapes() -> dict[str, nn.Module]:
    """Return layers with reshaped kernels of 4x18 (three of them, not consecutive), 18x4, 3x5 and 1x5; one is zero."""
    torch.manual_seed(0)
    layers = {
        "a": nn.Conv2d(2, 4, 3),
        "b": nn.Linear(5, 3),
        "c": nn.ConvTranspose2d(2, 4, 3),
        "d": nn.Conv1d(1, 1, 5),
        "e": nn.Linear(18, 4).double(),
        "f": nn.Linear(4, 18),
    }
    layers["e"].weight.data.zero_()
    return layers


def test_each_layer_gets_its_own_singular_values_in_any_order_of_shapes() -> None:
    layers = layers_of_few_shapes()
    matrices = {name: reshaped_weight(layer).detach().double().numpy() for name, layer in layers.items()}
    kernels, sigmas = spectra(layers), reshaped_sigmas(layers)
    assert list(kernels) == list(sigmas) == list(layers)
    for name, matrix in matrices.items():
        values = np.linalg.svd(matrix, compute_uv=False)
        assert kernels[name].dtype == torch.float64
        assert_allclose(kernels[name], values, rtol=1e-10)
        assert sigmas[name] == pytest.approx(values[0], rel=1e-10)
    assert spectra({}) == reshaped_sigmas({}) == {}


def test_there_is_one_decomposition_for_each_shape() -> None:
    for compute in (spectra, reshaped_sigmas):
        with AtenCalls() as calls:
            compute(layers_of_few_shapes())
        assert calls.counts["_linalg_eigh"] == 4
        assert "_linalg_svd" not in calls.counts


@pytest.mark.parametrize(
    ("values", "rank"),
    [
        ([3.0, 3.0, 3.0, 0.0], 3.0),
        ([2.0], 1.0),
        # Shares 1/2, 1/4, 1/4: an entropy of 3/2 ln 2.
        ([2.0, 1.0, 1.0], 2.0**1.5),
        ([0.0, 0.0], 0.0),
    ],
)
def test_effective_rank_by_hand(values: list[float], rank: float) -> None:
    assert effective_rank(torch.tensor(values, dtype=torch.float64)) == pytest.approx(rank)
