"""A convolution, its adjoint and its kernel gradient against the dense matrix, for random layers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, dense, transposed_convolutions
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.convolution_operator import Convolution, convolution_of, input_maps_shape

ANY = st.one_of(convolutions(grouped=False), transposed_convolutions(grouped=False))


def draw(shape: torch.Size, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def known(drawn: Drawn) -> tuple[Convolution, Tensor, torch.Size]:
    return convolution_of("method", "layer", drawn.layer), drawn.layer.weight.detach(), torch.Size((1, *drawn.shape))


@settings(deadline=None, max_examples=150)
@given(ANY)
def test_forward_adjoint_and_gradient_match_the_dense_matrix(drawn: Drawn) -> None:
    convolution, kernel, shape = known(drawn)
    matrix, v = dense(*drawn), draw(shape)
    forward, adjoint = convolution.operator(kernel, shape)
    image = forward(v)
    assert_allclose(image.flatten(), matrix @ v.flatten().numpy(), atol=1e-12)
    u = draw(image.shape, seed=1)
    back = adjoint(u)
    assert back.shape == shape
    assert_allclose(back.flatten(), matrix.T @ u.flatten().numpy(), atol=1e-12)
    # <u, A_W v> is linear in W, so its directional derivative along a kernel E is <u, A_E v>.
    gradient = convolution.gradient(u, v, kernel.shape)
    direction = draw(kernel.shape, seed=2)
    assert_allclose((gradient * direction).sum(), (u * convolution.forward(direction, v)).sum(), atol=1e-10)


def test_initial_singular_maps_are_accurate_and_reproducible() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, stride=2, padding=1).double()
    convolution, kernel, shape = known(Drawn(layer, torch.Size((3, 8, 8))))
    state = torch.get_rng_state()
    u, v = convolution.leading_singular_maps(kernel, shape)
    assert torch.equal(torch.get_rng_state(), state)
    exact = np.linalg.norm(dense(layer, shape[1:]), 2)
    assert 0.99 * exact <= (u * convolution.forward(kernel, v)).sum() <= exact * (1 + 1e-12)
    again = convolution.leading_singular_maps(kernel.float(), shape)
    assert again[0].dtype == torch.float32
    assert_allclose(again[0], u, atol=1e-5)
    assert_allclose(again[1], v, atol=1e-5)


def test_leading_singular_maps_have_the_right_shapes_on_the_meta_device() -> None:
    layer = nn.Conv2d(3, 4, 3, stride=2, device="meta")
    u, v = convolution_of("method", "layer", layer).leading_singular_maps(layer.weight, torch.Size((1, 3, 8, 8)))
    assert (u.shape, v.shape) == ((1, 4, 3, 3), (1, 3, 8, 8))
    assert u.is_meta
    assert v.is_meta


@pytest.mark.parametrize(
    ("kernel", "padding", "dilation"), [(3, "same", 1), (2, "same", 2), ((3, 5), "same", 1), (4, "valid", 1)]
)
def test_padding_same_and_valid(kernel: int, padding: str, dilation: int) -> None:
    layer = nn.Conv2d(1, 2, kernel, padding=padding, dilation=dilation).double()
    convolution, weight, shape = known(Drawn(layer, torch.Size((1, 5, 5))))
    v = draw(shape)
    assert_allclose(convolution.forward(weight, v).flatten(), dense(layer, shape[1:]) @ v.flatten().numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), r"padding \(1, 1\) in mode 'circular'"),
        (nn.Conv1d(1, 1, 2, padding="same"), "padding same in mode 'zeros'"),
        (nn.Conv2d(1, 1, (3, 4), padding="same"), "padding same in mode 'zeros'"),
    ],
)
def test_unsupported_padding_is_refused(layer: nn.Module, found: str) -> None:
    with pytest.raises(
        Refusal, match=f"method does not support convolution 'blocks.0' with {found}; allowed: equal zero padding"
    ):
        convolution_of("method", "blocks.0", layer)


def test_an_unused_layer_is_refused() -> None:
    shapes = {"used": torch.Size((3, 4, 4))}
    assert input_maps_shape("method", "used", shapes) == (1, 3, 4, 4)
    with pytest.raises(Refusal, match="method needs the input size of 'spare'"):
        input_maps_shape("method", "spare", shapes)


def test_groups_are_refused() -> None:
    with pytest.raises(Refusal, match=r"'layer' with 2 groups, because power iteration does not leave the group"):
        convolution_of("method", "layer", nn.Conv1d(2, 2, 1, groups=2))
