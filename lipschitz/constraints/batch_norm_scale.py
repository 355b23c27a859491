"""The operator norm of batch normalization in eval mode, for projections that shrink its multiplier γ."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lipschitz.constraints.base import Refusal


def batch_norms(net: nn.Module) -> Iterator[tuple[str, _BatchNorm]]:
    """Yield the (name, module) of every batch normalization module of ``net``."""
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm):
            yield name, module


def batch_norm_sigma(norm: _BatchNorm) -> Tensor:
    """Return the operator norm of batch normalization in eval mode, max |γ / √(running variance + ε)|, a scalar.

    In eval mode the module is the diagonal map diag(γ / √(running variance + ε)) (Gouk et al. 2018, arXiv:1804.04368,
    Sec. 3). In training mode it divides by the variance of the batch instead, and this value is not a bound.

    Raises:
        ValueError: the module keeps no running statistics.
    """
    if norm.running_var is None:
        raise ValueError("batch normalization without running statistics has no operator norm in eval mode")
    return (norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)).abs().amax()


def refuse_batch_norm_without_scale(method: str, net: nn.Module) -> None:
    """Raise Refusal for batch normalization without a trained multiplier γ or without a running variance."""
    for name, norm in batch_norms(net):
        if not isinstance(norm.weight, nn.Parameter):
            raise Refusal(
                f"{method} scales γ of batch normalization, but '{name}' has no trained γ; "
                "allowed: {batch_normalization: {gain: true}}"
            )
        if norm.running_var is None:
            raise Refusal(
                f"{method} scales γ by the running variance, but '{name}' has none; allowed: track_running_stats=True"
            )
