"""A convolution as a linear operator on maps of its true input size, for power iteration while its kernel changes."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.power_iteration import Operator, advance
from lipschitz.estimation.layers import WeightedLayer

START_STEPS = 100
"""Steps of power iteration from the random start."""


class Convolution(NamedTuple):
    """A_W for kernels W as `torch.nn` stores them, on maps ``(1, c, ...)``; the fields stand in ATen's order.

    ATen's backward is the adjoint in either argument. Differentiating instead would repeat the forward pass first.
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
        """Return A_Wᵀ y, in the ``shape`` of A_W's input."""
        x = y.new_empty(1).expand(shape)
        image: Tensor = torch.ops.aten.convolution_backward(y, x, kernel, None, *self, (True, False, False))[0]
        return image

    def gradient(self, u: Tensor, v: Tensor, shape: torch.Size) -> Tensor:
        """Return ∂<u, A_W v>/∂W, in the ``shape`` of W: the same for every W, as A_W is linear in it."""
        kernel = u.new_empty(1).expand(shape)
        image: Tensor = torch.ops.aten.convolution_backward(u, v, kernel, None, *self, (False, True, False))[1]
        return image

    def operator(self, kernel: Tensor, shape: torch.Size) -> Operator:
        """Return A_W on maps of ``shape``."""
        return Operator(lambda x: self.forward(kernel, x), lambda y: self.adjoint(kernel, y, shape))

    def leading_maps(self, kernel: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Approximate the leading left and right singular vectors, v as a map of ``shape``, by power iteration.

        It starts from the same vector in every process and precision, and moves no random generator. On the meta device
        there is nothing to iterate.
        """
        rng = torch.Generator().manual_seed(0)
        v = torch.randn(shape, generator=rng, dtype=torch.float64, device="cpu").to(kernel)
        v = v / torch.linalg.vector_norm(v)
        u = self.forward(kernel, v)
        advance([self.operator(kernel, shape)], [u], [v], 0 if kernel.is_meta else START_STEPS)
        return u, v


def convolution_of(method: str, name: str, layer: WeightedLayer) -> Convolution:
    """Return the operator of the layer called ``name``, a Conv1d, Conv2d or ConvTranspose2d, for ``method``.

    Raises:
        Refusal: it has groups, or its padding is not with zeros, or not the same on both sides.
    """
    if isinstance(layer, nn.Linear):
        raise TypeError(f"'{name}' is no convolution")
    padding = _padding(layer)
    if layer.groups > 1:
        raise Refusal(
            f"{method} knows no operator of '{name}' with {layer.groups} groups: power iteration stays in the "
            "group that leads at first; allowed: one group"
        )
    if layer.padding_mode != "zeros" or padding is None:
        raise Refusal(
            f"{method} knows no operator of '{name}', padding {layer.padding} in mode '{layer.padding_mode}'; "
            "allowed: zeros, as many on both sides"
        )
    return Convolution(
        tuple(layer.stride),
        padding,
        tuple(layer.dilation),
        isinstance(layer, nn.ConvTranspose2d),
        tuple(layer.output_padding),
        layer.groups,
    )


def maps_shape(method: str, name: str, shapes: Mapping[str, torch.Size]) -> torch.Size:
    """Return the shape ``(1, c, ...)`` of what the layer called ``name`` is given, from those of `input_shapes`.

    Raises:
        Refusal: the network does not use the layer.
    """
    if name not in shapes:
        raise Refusal(
            f"{method} needs the size of what '{name}' is given, and the network does not use it; "
            "allowed: layers that a forward pass reaches"
        )
    return torch.Size((1, *shapes[name]))


def _padding(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, ...] | None:
    """Return the zeros on each side of each axis, None where padding by name puts one more on the right."""
    if not isinstance(layer.padding, str):
        return tuple(layer.padding)
    if layer.padding == "valid":
        return (0,) * len(layer.kernel_size)
    totals = [dilation * (size - 1) for dilation, size in zip(layer.dilation, layer.kernel_size, strict=True)]
    return None if any(total % 2 for total in totals) else tuple(total // 2 for total in totals)
