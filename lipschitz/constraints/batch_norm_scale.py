"""Batch normalisation in eval mode as a diagonal operator, whose scale γ a projection can shrink."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lipschitz.constraints.base import Refusal


def batch_norms(net: nn.Module) -> Iterator[tuple[str, _BatchNorm]]:
    """Yield the (name, module) of every batch normalisation of ``net``."""
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm):
            yield name, module


def diagonal_sigma(norm: _BatchNorm) -> Tensor:
    """Return σ of diag(γ / √(Var + ε)), the largest absolute entry, for the running variance; a scalar.

    Gouk et al. 2018 (arXiv:1804.04368, Sec. 3) bound batch normalisation so. In training, where the batch's own
    variance divides, it is no bound.
    """
    if norm.running_var is None:
        raise ValueError("without running statistics there is no operator to measure")
    return (norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)).abs().amax()


def refuse_unscalable(method: str, net: nn.Module) -> None:
    """Raise Refusal for a batch normalisation that has no γ to scale, or no running variance to scale it by."""
    for name, norm in batch_norms(net):
        if not isinstance(norm.weight, nn.Parameter):
            raise Refusal(
                f"{method} scales γ of batch normalisation, and '{name}' trains none; "
                "allowed: {batch_normalization: {gain: true}}"
            )
        if norm.running_var is None:
            raise Refusal(
                f"{method} scales γ by the running variance, and '{name}' keeps none; allowed: track_running_stats"
            )
