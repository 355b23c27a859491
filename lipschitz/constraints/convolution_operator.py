"""Convolution as a linear operator at its true input size: its adjoint and kernel gradient, for power iteration."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.power_iteration import Operator, advance, dense_unit
from lipschitz.estimation.layers import WeightedLayer

START_STEPS = 100
"""Steps of power iteration from the random initial vector."""


class Convolution(NamedTuple):
    """The operator A_W of a convolution with kernel W, on maps ``(1, c, ...)``; W has the shape that torch.nn stores.

    The fields have the order of ATen's arguments. Adjoint and gradient call ATen's backward directly, because autograd
    would compute the forward pass first.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int

    def forward(self, kernel: Tensor, x: Tensor) -> Tensor:
        """Return A_W x."""
        return torch.convolution(x, kernel, None, *self)

    def adjoint(self, kernel: Tensor, y: Tensor, shape: torch.Size) -> Tensor:
        """Return A_Wᵀ y, in the shape ``shape`` of A_W's input."""
        x = y.new_empty(1).expand(shape)
        image: Tensor = torch.ops.aten.convolution_backward(y, x, kernel, None, *self, (True, False, False))[0]
        return image

    def gradient(self, u: Tensor, v: Tensor, shape: torch.Size) -> Tensor:
        """Return ∂<u, A_W v>/∂W, in the shape ``shape`` of W. It does not depend on W, since A_W is linear in W."""
        kernel = u.new_empty(1).expand(shape)
        image: Tensor = torch.ops.aten.convolution_backward(u, v, kernel, None, *self, (False, True, False))[1]
        return image

    def operator(self, kernel: Tensor, shape: torch.Size) -> Operator:
        """Return A_W as an operator on maps of shape ``shape``, ``(1, c, ...)``."""
        return Operator(lambda x: self.forward(kernel, x), lambda y: self.adjoint(kernel, y, shape))

    def leading_singular_maps(self, kernel: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Return the leading singular vectors u and v of A_W as maps, approximated by power iteration.

        v has the shape ``shape`` of the input and u that of the output. The initial vector is the same in every process
        and dtype, and torch's global generator is not used. On the meta device only the shapes are computed.
        """
        v = dense_unit(kernel.new_empty(shape))
        u = self.forward(kernel, v)
        u = torch.where(torch.linalg.vector_norm(u) == 0, dense_unit(u), u)
        advance([self.operator(kernel, shape)], [u], [v], 0 if kernel.is_meta else START_STEPS)
        return u, v


def convolution_of(method: str, name: str, layer: WeightedLayer) -> Convolution:
    """Return the operator of a Conv1d, Conv2d or ConvTranspose2d; ``method`` and ``name`` are for error messages.

    Raises:
        Refusal: the layer has several groups, a padding mode other than zeros, or unequal padding on the two sides.
    """
    if isinstance(layer, nn.Linear):
        raise TypeError(f"expected a convolution, got the Linear layer '{name}'")
    padding = _padding(layer)
    if layer.groups > 1:
        raise Refusal(
            f"{method} does not support convolution '{name}' with {layer.groups} groups, because power iteration does "
            "not leave the group that leads at the start; allowed: one group"
        )
    if layer.padding_mode != "zeros" or padding is None:
        raise Refusal(
            f"{method} does not support convolution '{name}' with padding {layer.padding} in mode "
            f"'{layer.padding_mode}'; allowed: equal zero padding on both sides"
        )
    return Convolution(
        tuple(layer.stride),
        padding,
        tuple(layer.dilation),
        isinstance(layer, nn.ConvTranspose2d),
        tuple(layer.output_padding),
        layer.groups,
    )


def input_maps_shape(method: str, name: str, shapes: Mapping[str, torch.Size]) -> torch.Size:
    """Return the shape ``(1, c, ...)`` of the input of layer ``name``, given the result of `input_shapes`.

    Raises:
        Refusal: the forward pass does not use the layer.
    """
    if name not in shapes:
        raise Refusal(
            f"{method} needs the input size of '{name}', but the forward pass does not use this layer; "
            "allowed: layers that the forward pass uses"
        )
    return torch.Size((1, *shapes[name]))


def _padding(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, ...] | None:
    """Return the padding on each side per axis, or None if padding='same' pads one more pixel on the right."""
    if not isinstance(layer.padding, str):
        return tuple(layer.padding)
    if layer.padding == "valid":
        return (0,) * len(layer.kernel_size)
    totals = [dilation * (size - 1) for dilation, size in zip(layer.dilation, layer.kernel_size, strict=True)]
    return None if any(total % 2 for total in totals) else tuple(total // 2 for total in totals)
