"""Residual layers x - 2 Wᵀ act(W x + b), which are 1-Lipschitz where ‖W‖ <= 1, in place of act(W x + b)."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.one_lipschitz import RULES, is_dropout, torch_class
from lipschitz.estimation.layers import WeightedLayer, input_shapes
from lipschitz.estimation.upper_bound.activation_slopes import ACTIVATION_MODULES
from lipschitz.estimation.upper_bound.polyphase import Kernel, convolution_axes, layer_kernel
from lipschitz.models.residual import ResidualBlock


class ConvexPotential(nn.Sequential):
    """A block of a layer W and an activation, as x -> R (c x - 2/c Wᵀ act(W x + b)), which is c-Lipschitz if ‖W‖ <= c.

    The activation is elementwise with slopes in [0, 1], the gradient of a convex potential. So for c = 1 the Jacobian
    is I - 2 Wᵀ D W with 0 <= D <= I, of norm at most one (Meunier et al. 2022, arXiv:2110.12690, Sec. 3). R brings the
    map to the shape that the block has without it: it divides the sum over each s x s window by s where the layer has
    stride s, adds channels of zeros, or keeps the first channels. R has norm one.
    """

    coefficient: float

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` to the shape of ``act(W x + b)``."""
        layer, hidden = layer_and_hidden(self, x)
        residual = self.coefficient * x - (2 / self.coefficient) * adjoint(layer, hidden, x.shape)
        return _brought_to(residual, hidden.shape, is_linear=isinstance(layer, nn.Linear))


def layer_and_hidden(block: nn.Sequential, x: Tensor) -> tuple[WeightedLayer, Tensor]:
    """Return the layer of ``block``, and the output of its modules one after the other: act(W x + b)."""
    for module in block:
        x = module(x)
    return next(module for module in block if isinstance(module, WeightedLayer)), x


def parts_of(block: nn.Sequential) -> list[nn.Module]:
    """Return the modules of ``block`` without empty slots and dropout, which acts on the hidden units."""
    return [module for module in block if not isinstance(module, nn.Identity) and not is_dropout(module)]


def make_residual(method: str, net: nn.Module, shape: tuple[int, ...], coefficient: float) -> None:
    """Turn each block of ``net`` that consists of a layer and an activation into a `ConvexPotential`, in place.

    A block is an nn.Sequential of its own, whose other modules are empty slots or dropout. The parameters keep their
    names.

    Raises:
        Refusal: the network has residual blocks of its own, an activation is not elementwise with slopes in [0, 1], or
            the size of a convolution's input is no multiple of that of its output.
    """
    shapes = input_shapes(net, shape)
    for _, layer_name, block in activated_blocks(method, net, "residual layer"):
        layer = parts_of(block)[0]
        assert isinstance(layer, WeightedLayer)
        if layer_name in shapes:
            _check_sizes(method, layer_name, layer, shapes[layer_name])
        block.__class__ = ConvexPotential
        assert isinstance(block, ConvexPotential)
        block.coefficient = coefficient


def activated_blocks(method: str, net: nn.Module, kind: str) -> list[tuple[str, str, nn.Sequential]]:
    """Return each block of a layer and an activation with its name and that of its layer, to become a ``kind``.

    Raises:
        Refusal: the network has residual blocks of its own, or an activation is not elementwise with slopes in [0, 1].
    """
    own = next((name for name, module in net.named_modules() if isinstance(module, ResidualBlock)), None)
    if own is not None:
        raise Refusal(
            f"{method} makes each block of a layer and an activation a {kind}, but '{own}' is a residual block itself; "
            "allowed: mlp, dcgan, and networks of such blocks"
        )
    blocks = list(_blocks(net))
    for name, _, block in blocks:
        activation = parts_of(block)[1]
        found = torch_class(activation, ACTIVATION_MODULES)
        slopes = ACTIVATION_MODULES[found](activation) if found else None
        if slopes is None or slopes.low < 0 or slopes.high > 1:
            raise Refusal(
                f"{method} makes '{name}' a {kind}, but {type(activation).__name__} is not elementwise with "
                "slopes in [0, 1]; allowed: relu, leaky_relu"
            )
    return blocks


def adjoint(layer: nn.Module, hidden: Tensor, shape: Sequence[int]) -> Tensor:
    """Return Wᵀ h for the effective weight of ``layer``, in the shape ``shape`` of its input."""
    if isinstance(layer, nn.Linear):
        return F.linear(hidden, layer.weight.mT)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    kernel = layer_kernel(layer)
    padding = _equal_padding(kernel)
    assert padding is not None
    extra = [
        size - ((outputs - 1) * stride - 2 * pad + dilation * (taps - 1) + 1)
        for size, outputs, stride, pad, dilation, taps in zip(
            shape[2:], hidden.shape[2:], kernel.stride, padding, kernel.dilation, kernel.weight.shape[2:], strict=True
        )
    ]
    back = F.conv_transpose1d if kernel.dimensions == 1 else F.conv_transpose2d
    image: Tensor = back(hidden, kernel.weight, None, kernel.stride, padding, extra, kernel.groups, kernel.dilation)
    return image


def _blocks(net: nn.Module) -> Iterator[tuple[str, str, nn.Sequential]]:
    """Yield each block with its name, and the name of its layer."""
    for name, module in net.named_modules():
        if type(module) is nn.Sequential:
            parts = parts_of(module)
            if len(parts) == 2 and isinstance(parts[0], WeightedLayer) and _is_activation(parts[1]):
                key = next(key for key, child in module.named_children() if child is parts[0])
                yield name, f"{name}.{key}".lstrip("."), module


def _is_activation(module: nn.Module) -> bool:
    has_parts = isinstance(module, WeightedLayer) or next(module.children(), None) is not None
    return not has_parts and torch_class(module, RULES) is None


def _check_sizes(method: str, name: str, layer: WeightedLayer, shape: torch.Size) -> None:
    if isinstance(layer, nn.Linear):
        return
    wrong = isinstance(layer, nn.ConvTranspose2d) or _equal_padding(layer_kernel(layer)) is None
    if wrong or any(axis.outputs < 1 or axis.size % axis.outputs for axis in convolution_axes(layer, shape)):
        raise Refusal(
            f"{method} makes the block of '{name}' a residual layer, but its map of {tuple(shape[1:])} is no multiple "
            "of its output; allowed: a convolution whose stride divides the map, with equal padding on both sides"
        )


def _equal_padding(kernel: Kernel) -> tuple[int, ...] | None:
    """Return the padding on each side, or None if it is one pixel larger on the right."""
    if not isinstance(kernel.padding, str):
        return tuple(kernel.padding)
    if kernel.padding == "valid":
        return (0,) * kernel.dimensions
    totals = [dilation * (taps - 1) for dilation, taps in zip(kernel.dilation, kernel.weight.shape[2:], strict=True)]
    return None if any(total % 2 for total in totals) else tuple(total // 2 for total in totals)


def _brought_to(x: Tensor, shape: Sequence[int], *, is_linear: bool) -> Tensor:
    axis = -1 if is_linear else 1
    if not is_linear:
        ratios = [before // after for before, after in zip(x.shape[2:], shape[2:], strict=True)]
        if math.prod(ratios) > 1:
            pool = F.avg_pool1d if len(ratios) == 1 else F.avg_pool2d
            x = pool(x, ratios) * math.sqrt(math.prod(ratios))
    missing = shape[axis] - x.shape[axis]
    if missing <= 0:
        return x.narrow(axis, 0, shape[axis])
    return F.pad(x, (0, 0) * (0 if is_linear else x.dim() - 2) + (0, missing))
