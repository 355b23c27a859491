"""The network that is measured: a copy in float64 and eval mode, so that measuring changes nothing."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from lipschitz.estimation.layers import compute_reparametrized


@contextmanager
def exact(net: nn.Module) -> Iterator[nn.Module]:
    """Yield a copy of ``net`` in float64 and eval mode whose parameters need no gradient.

    Within the block every reparametrised weight is computed once, and whatever draws from torch's global generators
    leaves them as they were. Weights that torch's old ``spectral_norm`` and ``weight_norm`` compute in a hook are
    replaced by what the hook would give, without another step of power iteration.

    Raises:
        ValueError: a parameter or buffer is not finite.
    """
    twin = copy.deepcopy(net, _detached(net)).double().eval().requires_grad_(False)
    for name, value in twin.state_dict().items():
        if isinstance(value, Tensor) and not torch.isfinite(value).all():
            raise ValueError(f"'{name}' is not finite: nothing can be measured")
    for module in twin.modules():
        _without_weight_hooks(module)
    devices = {value.device for value in twin.state_dict().values() if isinstance(value, Tensor) and value.is_cuda}
    with torch.random.fork_rng(list(devices)), parametrize.cached():
        compute_reparametrized(twin)
        yield twin


def _detached(net: nn.Module) -> dict[int, Tensor]:
    """Return, by identity, copies of the tensors that deepcopy refuses: attributes that a forward pass computed."""
    attributes = (value for module in net.modules() for value in vars(module).values())
    return {
        id(value): value.detach().clone() for value in attributes if isinstance(value, Tensor) and not value.is_leaf
    }


def _without_weight_hooks(module: nn.Module) -> None:
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
