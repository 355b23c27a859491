"""σ of diagonal, permuted, block-diagonal, dirac and zero-padded weights: measured, and by power iteration."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import dense
from torch import Tensor, nn

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import WeightedLayer, raw_weight, reshaped_weight
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas

SIZE = 4


def diagonal(values: Tensor) -> Tensor:
    return torch.diag(values)


def permuted(values: Tensor) -> Tensor:
    return torch.diag(values).roll(1, dims=0)


def blocks(values: Tensor) -> Tensor:
    """Return differences and averages of pairs: their leading vectors are orthogonal."""
    pairs = torch.tensor([[[1.0, -1.0], [-1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]], dtype=values.dtype)
    return torch.block_diag(*(value * pairs[index % 2] for index, value in enumerate(values[:2])))


def with_zero_row_and_column(values: Tensor) -> Tensor:
    matrix = torch.zeros(SIZE, SIZE, dtype=values.dtype)
    matrix[1:, :-1] = torch.diag(values[:-1])
    return matrix


def dirac(matrix: Tensor, taps: tuple[int, ...], tap: int) -> Tensor:
    """Return the kernel ``(SIZE, SIZE, *taps)`` that applies ``matrix`` to the pixels at one tap."""
    kernel = torch.zeros(SIZE, SIZE, int(np.prod(taps)), dtype=matrix.dtype)
    kernel[..., tap] = matrix
    return kernel.view(SIZE, SIZE, *taps)


def linear() -> WeightedLayer:
    return nn.Linear(SIZE, SIZE, bias=False)


def conv1d() -> WeightedLayer:
    return nn.Conv1d(SIZE, SIZE, 3, padding=1, bias=False)


def conv2d() -> WeightedLayer:
    return nn.Conv2d(SIZE, SIZE, 3, stride=2, padding=1, bias=False)


def transposed() -> WeightedLayer:
    return nn.ConvTranspose2d(SIZE, SIZE, 2, stride=2, bias=False)


def shape_of(layer: WeightedLayer) -> torch.Size:
    return torch.Size((SIZE, *[3] * (layer.weight.dim() - 2)))


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([diagonal, permuted, blocks, with_zero_row_and_column]),
    st.sampled_from([linear, conv1d, conv2d, transposed]),
    st.integers(0, 2),
    st.sampled_from(["reshaped", "convolution"]),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_sigma_is_found_after_another_direction_has_come_to_lead(
    build: Callable[[Tensor], Tensor], kind: Callable[[], WeightedLayer], tap: int, operator: str, dtype: torch.dtype
) -> None:
    layer = kind().to(dtype)
    shape, example, starts = shape_of(layer), torch.zeros(1, *shape_of(layer), dtype=torch.float64), {}
    constraint = SpectralNormalization(operator=operator, power_iterations=100)
    for step, values in enumerate([(1.0, 0.5, 0.3, 0.2), (0.2, 1.5, 0.1, 0.7)]):
        weight = build(torch.tensor(values, dtype=dtype))
        weight = weight if isinstance(layer, nn.Linear) else dirac(weight, tuple(layer.kernel_size), tap)
        with torch.no_grad():
            raw_weight(layer).copy_(weight)
        if step == 0:
            plain = kind().double()
            constraint.wrap(layer, tuple(shape))
        constraint.update(layer)
        plain.weight.data = weight.double()
        exact = np.linalg.norm(dense(plain, shape), 2)
        kernel = np.linalg.norm(reshaped_weight(plain).detach().numpy(), 2)
        (measured,) = layer_sigmas(plain, example, starts=starts).values()
        assert measured.operator == pytest.approx(exact, rel=1e-3)
        assert measured.reshaped == pytest.approx(kernel, rel=1e-12)
        sigma = (weight.norm() / layer.weight.detach().norm()).item()
        assert sigma == pytest.approx(kernel if operator == "reshaped" else exact, rel=1e-3)
