"""Copy a network in float64 and eval mode, so that measuring the copy does not change the network."""

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
def float64_copy(net: nn.Module) -> Iterator[nn.Module]:
    """Yield a copy of ``net`` in float64 and eval mode whose parameters need no gradient.

    Within the block every reparametrised weight is computed once. After the block torch's global random generators are
    as they were before. torch's old ``spectral_norm`` and ``weight_norm`` compute weights in a hook: the copy holds the
    weight that the hook would give, without another step of power iteration.

    Raises:
        ValueError: a parameter or buffer is not finite.
    """
    twin = copy.deepcopy(net, _detached_attributes(net)).double().eval().requires_grad_(False)
    for name, value in twin.state_dict().items():
        if isinstance(value, Tensor) and not torch.isfinite(value).all():
            raise ValueError(f"'{name}' is not finite: the network cannot be measured")
    for module in twin.modules():
        _replace_weight_hooks(module)
    devices = {value.device for value in twin.state_dict().values() if isinstance(value, Tensor) and value.is_cuda}
    with torch.random.fork_rng(list(devices)), parametrize.cached():
        compute_reparametrized(twin)
        yield twin


def _detached_attributes(net: nn.Module) -> dict[int, Tensor]:
    """Return detached copies, by id, of tensor attributes that a forward pass computed: deepcopy refuses these."""
    attributes = (value for module in net.modules() for value in vars(module).values())
    return {
        id(value): value.detach().clone() for value in attributes if isinstance(value, Tensor) and not value.is_leaf
    }


def _replace_weight_hooks(module: nn.Module) -> None:
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
