"""A layer as a linear operator on inputs of its true size, with its stride and padding and without its bias."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.layers import AffineLayer, has_torch_forward, is_transposed
from lipschitz.estimation.sigma.lanczos import LinearMap


class Operator(NamedTuple):
    """A linear map and its adjoint."""

    forward: LinearMap
    adjoint: LinearMap
    like: Tensor
    """A tensor with the shape, dtype and device of the input of ``forward``."""


LINEARITY = 1e-9
"""Largest relative deviation of a layer with its own forward method from an affine map, which counts as rounding."""


def linear_part(layer: AffineLayer) -> Callable[[Tensor], Tensor]:
    """Return x -> W x for the layer's effective weight, in that weight's dtype and with the layer's padding.

    Every padding mode of torch (zeros, circular, reflect, replicate) is linear. A layer with its own forward method may
    apply another weight than its own: for it x -> f(x) - f(0) is returned, see `is_affine`.
    """
    if not has_torch_forward(layer):
        return lambda x: layer(x) - layer(torch.zeros_like(x))
    weight = layer.weight.detach()
    if isinstance(layer, nn.Linear):
        return lambda x: F.linear(x, weight)
    if is_transposed(layer):
        arguments = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
        functions: tuple[Any, ...] = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
        transposed = functions[weight.dim() - 3]
        return lambda x: transposed(x, weight, None, *arguments)
    return lambda x: layer._conv_forward(x, weight, None)


@torch.no_grad()
def is_affine(layer: AffineLayer, input_shape: Sequence[int]) -> bool:
    """Say whether the forward method of ``layer`` seems to be an affine map of one sample ``(c, ...)``.

    That of torch is. Another one is tried on random inputs of several sizes: f(a x + b y) - f(0) must be
    a (f(x) - f(0)) + b (f(y) - f(0)), up to `LINEARITY`.
    """
    if has_torch_forward(layer):
        return True
    rng = torch.Generator().manual_seed(0)
    forward = linear_part(layer)
    for scale in (1e-2, 1.0, 1e2):
        x, y = (
            scale * torch.randn((1, *input_shape), generator=rng, dtype=torch.float64, device="cpu").to(layer.weight)
            for _ in range(2)
        )
        expected, found = 0.5 * forward(x) - 2 * forward(y), forward(0.5 * x - 2 * y)
        if not torch.linalg.vector_norm(found - expected) <= LINEARITY * torch.linalg.vector_norm(expected):
            return False
    return True


def adjoint(forward: LinearMap, like: Tensor) -> LinearMap:
    """Return y -> Aᵀ y for the linear map ``forward`` on inputs shaped like ``like``, by reverse-mode differentiation.

    This holds for any stride, padding and groups. The derivative of a linear map is the same at every point, so the
    graph of one forward pass serves every y.
    """
    with torch.enable_grad():
        x = torch.zeros_like(like, requires_grad=True)
        image = forward(x)

    def pull_back(y: Tensor) -> Tensor:
        (grad,) = torch.autograd.grad(image, x, y, retain_graph=True)
        return grad

    return pull_back


def operator(layer: AffineLayer, input_shape: Sequence[int]) -> Operator:
    """Return the layer's operator on one sample ``(c, ...)``, or its adjoint if the output is smaller than the input.

    Both have the same singular values. An iteration stores vectors of the size of its start, so it starts from the
    smaller side.
    """
    weight = layer.weight.detach()
    forward = linear_part(layer)
    like = weight.new_zeros((1, *input_shape))
    image = forward(like)
    back = adjoint(forward, like)
    return Operator(back, forward, image) if image.numel() < like.numel() else Operator(forward, back, like)
