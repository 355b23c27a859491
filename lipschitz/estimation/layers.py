"""The layers that carry a weight, and the matrix that the literature makes of their kernels."""

from collections.abc import Iterator
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.estimation.probe import probe

WeightedLayer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d
WEIGHTED: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)


def weighted_layers(net: nn.Module) -> Iterator[tuple[str, WeightedLayer]]:
    """Yield the (name, layer) of every Linear, Conv1d, Conv2d and ConvTranspose2d of ``net``, as defined."""
    for name, module in net.named_modules():
        if isinstance(module, WeightedLayer):
            yield name, module


def raw_weight(layer: WeightedLayer) -> Tensor:
    """Return the trained parameter behind ``layer.weight``: or what its reparametrisation starts from."""
    if parametrize.is_parametrized(layer, "weight"):
        original: Tensor = layer.parametrizations["weight"].original  # type: ignore[union-attr, index]
        return original
    return layer.weight


def reparametrizations(layer: nn.Module) -> tuple[nn.Module, ...]:
    """Return the maps from `raw_weight` to ``layer.weight``, in the order in which they are applied."""
    if not parametrize.is_parametrized(layer, "weight"):
        return ()
    # torch types the stack of any module as an optional attribute.
    stacks = cast(nn.ModuleDict, layer.parametrizations)
    return tuple(cast(nn.ModuleList, stacks["weight"]))


def compute_reparametrized(net: nn.Module) -> None:
    """Compute every reparametrised tensor of ``net``; within `parametrize.cached` each is kept for the block."""
    for module in net.modules():
        if parametrize.is_parametrized(module):
            for name in cast(nn.ModuleDict, module.parametrizations):
                getattr(module, name)


def as_matrix(weight: Tensor, transposed: bool = False) -> Tensor:
    """Reshape a kernel to ``(d_out, d_in k_1 k_2 ...)``, as in Sec. 2.1 of Miyato et al. 2018 (arXiv:1802.05957).

    ``weight``: ``(d_out, d_in, ...)``; with ``transposed``, as transposed convolutions store it, ``(d_in, d_out,
    ...)``. A view wherever strides allow.
    """
    if transposed:
        weight = weight.transpose(0, 1)
    return weight.flatten(1)


def is_transposed(layer: nn.Module) -> bool:
    """Say whether the layer stores its kernel with the input channels first."""
    return isinstance(layer, nn.ConvTranspose2d)


def reshaped_weight(layer: WeightedLayer) -> Tensor:
    """Return the effective weight, the one that the forward pass uses, as a matrix ``(d_out, d_in k_1 k_2 ...)``."""
    return as_matrix(layer.weight, is_transposed(layer))


def input_shapes(net: nn.Module, shape: tuple[int, ...]) -> dict[str, torch.Size]:
    """Return, for each weighted layer by name, the shape of what one sample of ``shape`` makes it see, without batch.

    Seen by a `probe`, which changes nothing. A layer that the forward pass does not use is left out. Of one that it
    uses at several sizes the largest along each axis is returned: a zero-padded convolution's operator at a smaller
    size is part of the one at a larger, so that its norm there bounds every use.

    Raises:
        ValueError: a convolution whose padding is not with zeros is used at several sizes, of which none bounds all.
    """
    shapes: dict[str, torch.Size] = {}

    def remember(name: str, mode: str, seen: torch.Size) -> None:
        before = shapes.get(name, seen)
        if before != seen and mode != "zeros":
            raise ValueError(f"'{name}', padded by mode '{mode}', is used at {tuple(before)} and {tuple(seen)}")
        shapes[name] = torch.Size(map(max, before, seen)) if len(before) == len(seen) else seen

    layers = weighted_layers(net)
    probe(net, shape, [(one, partial(remember, name, getattr(one, "padding_mode", "zeros"))) for name, one in layers])
    return shapes
