"""Fold batch normalization in eval mode into the layer before it, so that weights show the map that is applied."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from lipschitz.estimation.layers import AffineLayer, affine_layers, has_torch_forward, is_transposed

_NORMALIZATIONS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)


@torch.no_grad()
def fold_batch_norm(net: nn.Module, shape: tuple[int, ...]) -> bool:
    """Fold every batch normalization into the layer whose output it normalises, in place; say whether there was one.

    With the scale s = γ / √(running variance + ε) of each channel, row i of the weight becomes s_i w_i, and the bias
    s (b - running mean) + β. The normalization then is the identity, and the function of the network is the same.

    Args:
        net: a copy of a network of samples of ``shape`` in eval mode; see
            `lipschitz.estimation.float64_copy.float64_copy`.
        shape: of one sample.

    Raises:
        ValueError: a normalization that is used is not a batch normalization with running statistics, or its input is
            not the output of one linear or convolution layer that nothing else normalises.
    """
    pairs = _normalized_layers(net, shape)
    for layer, norm in pairs:
        _fold(layer, norm)
    return bool(pairs)


def _normalized_layers(net: nn.Module, shape: tuple[int, ...]) -> list[tuple[AffineLayer, _BatchNorm]]:
    names: dict[nn.Module, str] = {m: name for name, m in net.named_modules() if isinstance(m, _NORMALIZATIONS)}
    made: list[tuple[Tensor, AffineLayer]] = []
    seen: list[tuple[AffineLayer | None, nn.Module]] = []

    def keep_output(layer: AffineLayer, _: Any, output: Tensor) -> None:
        # A dense layer at several positions has its channels on the last axis, and these norms theirs on the second.
        if not isinstance(layer, nn.Linear) or output.dim() == 2:
            made.append((output, layer))

    def keep_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append((next((layer for output, layer in made if output is inputs[0]), None), module))

    hooks = [layer.register_forward_hook(keep_output) for _, layer in affine_layers(net)] if names else []
    hooks += [module.register_forward_pre_hook(keep_input) for module in names]
    try:
        if names:
            like = next(net.parameters(), torch.empty(0))
            net(torch.zeros((1, *shape), dtype=like.dtype, device=like.device))
    finally:
        for hook in hooks:
            hook.remove()
    pairs = []
    for layer, module in seen:
        alone = sum(layer is other or module is norm for other, norm in seen) == 1
        if not isinstance(module, _BatchNorm) or module.running_var is None:
            raise ValueError(f"'{names[module]}' normalises by the statistics of its input; allowed: running ones")
        if layer is None or not alone or not has_torch_forward(layer):
            raise ValueError(f"'{names[module]}' does not normalise the output of one linear or convolution layer")
        pairs.append((layer, module))
    return pairs


def _fold(layer: AffineLayer, norm: _BatchNorm) -> None:
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    bias = -norm.running_mean if layer.bias is None else layer.bias - norm.running_mean
    bias = scale * bias if norm.bias is None else scale * bias + norm.bias
    # New parameters: another layer may share the old ones.
    layer.weight = nn.Parameter(_scaled(layer, scale), requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    # With its ε, which has to be positive on a GPU.
    norm.running_mean, norm.running_var = torch.zeros_like(scale), torch.ones_like(scale) - norm.eps
    for name in ("weight", "bias"):
        # A gain that is not trained is a buffer.
        delattr(norm, name)
        norm.register_parameter(name, None)


def _scaled(layer: AffineLayer, scale: Tensor) -> Tensor:
    """Return the kernel with each output channel multiplied by its entry of ``scale`` ``(d_out,)``."""
    weight = layer.weight
    if not is_transposed(layer):
        return weight * scale.view(-1, *[1] * (weight.dim() - 1))
    # (d_in, d_out / groups, ...): each group of inputs has its own outputs.
    by_group = scale.view(-1, 1, weight.shape[1], *[1] * (weight.dim() - 2))
    return (weight.view(len(by_group), -1, *weight.shape[1:]) * by_group).view_as(weight)
