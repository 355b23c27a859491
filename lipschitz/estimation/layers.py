"""Linear and convolution layers of a network: their weights, kernels as matrices, and input shapes."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.estimation.circular_convolution import has_circular_convolution
from lipschitz.estimation.fixed_labels import example_labels

WeightedLayer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d
"""A layer that constraints know."""
AffineLayer = WeightedLayer | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose3d
"""A layer that is measured."""
AFFINE: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def weighted_layers(net: nn.Module) -> Iterator[tuple[str, WeightedLayer]]:
    """Yield (name, layer) for every Linear, Conv1d, Conv2d and ConvTranspose2d of ``net``, in order of definition."""
    for name, module in net.named_modules():
        if isinstance(module, WeightedLayer):
            yield name, module


def affine_layers(net: nn.Module) -> Iterator[tuple[str, AffineLayer]]:
    """Yield (name, layer) for every Linear and every (transposed) convolution of ``net``, in order of definition."""
    for name, module in net.named_modules():
        if isinstance(module, AffineLayer):
            yield name, module


def unlisted_weights(net: nn.Module) -> list[str]:
    """Return the names of matrices and kernels that are no weight of an affine layer, such as those of an LSTM."""
    listed = {id(layer.weight) for _, layer in affine_layers(net)}
    return [name for name, value in net.named_parameters() if value.dim() > 1 and id(value) not in listed]


def has_torch_forward(layer: nn.Module) -> bool:
    """Say whether an affine layer runs torch's forward method: neither its class nor the instance replaced it.

    A `CircularConvolution` computes what torch would.
    """
    kind = next(kind for kind in AFFINE if isinstance(layer, kind))
    methods = ("forward", "_conv_forward") if hasattr(kind, "_conv_forward") else ("forward",)
    return all(
        getattr(type(layer), name) is getattr(kind, name)
        and (name not in vars(layer) or has_circular_convolution(layer))
        for name in methods
    )


def raw_weight(layer: WeightedLayer) -> Tensor:
    """Return the trained parameter: ``layer.weight``, or the original weight behind its reparametrisations."""
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
    """Compute every reparametrised tensor of ``net``; inside `parametrize.cached` each is then cached for the block."""
    for module in net.modules():
        if parametrize.is_parametrized(module):
            for name in cast(nn.ModuleDict, module.parametrizations):
                getattr(module, name)


def as_matrix(weight: Tensor, transposed: bool = False) -> Tensor:
    """Reshape a kernel to ``(d_out, d_in k_1 k_2 ...)``, as in Sec. 2.1 of Miyato et al. 2018 (arXiv:1802.05957).

    ``weight`` is ``(d_out, d_in, k_1, k_2, ...)``, or with ``transposed`` the ``(d_in, d_out, k_1, k_2, ...)`` of a
    transposed convolution. The result is a view where the strides allow it.
    """
    if transposed:
        weight = weight.transpose(0, 1)
    return weight.flatten(1)


def is_transposed(layer: nn.Module) -> bool:
    """Say whether the layer stores its kernel with the input channels first."""
    return isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)


def reshaped_weight(layer: AffineLayer) -> Tensor:
    """Return the effective weight, which the forward pass uses, as a matrix ``(d_out, d_in k_1 k_2 ...)``."""
    return as_matrix(layer.weight, is_transposed(layer))


def input_shapes(net: nn.Module, shape: tuple[int, ...]) -> dict[str, torch.Size]:
    """Return the input shape of each affine layer by name, without the batch, for one sample of ``shape``.

    Found by `probe_input_shapes`. A layer that the forward pass does not use is left out. For a layer that is used at
    several sizes the largest size along each axis is returned. The operator of a zero-padded convolution at a smaller
    size is part of its operator at a larger size, so the norm at the largest size bounds every use.

    Raises:
        ValueError: a convolution with a padding mode other than zeros is used at several sizes. Its norm at one size
            does not bound its norm at another.
    """
    shapes: dict[str, torch.Size] = {}

    def keep_largest(name: str, mode: str, seen: torch.Size) -> None:
        before = shapes.get(name, seen)
        if before != seen and mode != "zeros":
            raise ValueError(
                f"'{name}' has padding mode '{mode}' and is used at {tuple(before)} and {tuple(seen)}; "
                "supported at several sizes: zeros"
            )
        shapes[name] = torch.Size(map(max, before, seen)) if len(before) == len(seen) else seen

    probe_input_shapes(
        net,
        shape,
        [
            (layer, partial(keep_largest, name, getattr(layer, "padding_mode", "zeros")))
            for name, layer in affine_layers(net)
        ],
    )
    return shapes


ShapeCallback = Callable[[torch.Size], None]
"""Receives the shape of a module's input, without the batch."""


def probe_input_shapes(
    net: nn.Module, shape: tuple[int, ...], callbacks: Iterable[tuple[nn.Module, ShapeCallback]]
) -> None:
    """Call each callback with the input shape of its module, for one sample of ``shape``.

    Runs one forward pass on zeros, in eval mode and without gradients, with a forward hook on each module. Afterwards
    every module is back in its mode and the hooks are removed. A callback is called once for each use of its module in
    the forward pass, so not at all for an unused module.
    """
    handles = [
        module.register_forward_pre_hook(_shape_hook(callback), with_kwargs=True) for module, callback in callbacks
    ]
    if not handles:
        return
    modes = [(module, module.training) for module in net.modules()]
    like = next(net.parameters(), torch.empty(0))
    try:
        with torch.no_grad():
            sample = torch.zeros(1, *shape, dtype=like.dtype, device=like.device)
            net.eval()(sample, *example_labels(net, sample))
    finally:
        for module, training in modes:
            module.training = training
        for handle in handles:
            handle.remove()


def _shape_hook(callback: ShapeCallback) -> Callable[[nn.Module, tuple[Tensor, ...], dict[str, Any]], None]:
    def call(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> None:
        x = args[0] if args else kwargs["input"]
        axes = x.dim() - 1
        if isinstance(module, AffineLayer) and not isinstance(module, nn.Linear):
            # A convolution takes a map without a batch, too.
            axes = len(module.kernel_size) + 1
        callback(x.shape[x.dim() - axes :])

    return call
