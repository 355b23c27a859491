"""Copy a network in float64 and eval mode, so that measuring the copy does not change the network."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from lipschitz.estimation.layers import compute_reparametrized, weighted_layers


@contextmanager
def float64_copy(net: nn.Module, dtype: torch.dtype = torch.float64) -> Iterator[nn.Module]:
    """Yield a copy of ``net`` in ``dtype``, float64 or float32, and eval mode whose parameters need no gradient.

    Within the block every reparametrised weight is computed once. After the block torch's global random generators are
    as they were before. torch's old ``spectral_norm`` and ``weight_norm`` compute weights in a hook: the copy holds the
    weight that the hook would give, without another step of power iteration.

    Raises:
        ValueError: a parameter, a buffer or a reparametrised weight is not finite, has no values yet, or is a weight
            that is empty or not real.
    """
    _refuse_without_values(net)
    twin = copy.deepcopy(net, _detached_attributes(net)).eval().requires_grad_(False)
    # Unlike `to`, these leave complex values alone.
    twin = twin.double() if dtype == torch.float64 else twin.float()
    for name, value in twin.state_dict().items():
        if isinstance(value, Tensor) and not torch.isfinite(value).all():
            raise ValueError(f"'{name}' is not finite: the network cannot be measured")
    for module in twin.modules():
        _replace_weight_hooks(module)
    devices = {value.device for value in twin.state_dict().values() if isinstance(value, Tensor) and value.is_cuda}
    with torch.random.fork_rng(list(devices)), parametrize.cached():
        compute_reparametrized(twin)
        for name, layer in weighted_layers(twin):
            _refuse_degenerate_weight(f"{name}.weight".lstrip("."), layer.weight)
        yield twin


def _refuse_without_values(net: nn.Module) -> None:
    if isinstance(net, torch.jit.ScriptModule):
        raise ValueError("a network compiled by torch.jit cannot be measured; allowed: the module that it was made of")
    for name, value in [*net.named_parameters(), *net.named_buffers()]:
        if is_lazy(value):
            raise ValueError(f"'{name}' has no shape yet: call the network once before it is measured")
        if value.is_meta:
            raise ValueError(f"'{name}' is on the meta device and has no values: the network cannot be measured")


def _refuse_degenerate_weight(name: str, weight: Tensor) -> None:
    if not weight.dtype.is_floating_point:
        raise ValueError(f"'{name}' is {str(weight.dtype).removeprefix('torch.')}; allowed: real floating weights")
    if not weight.numel():
        raise ValueError(f"'{name}' is empty, of shape {tuple(weight.shape)}: the network cannot be measured")
    if not torch.isfinite(weight).all():
        raise ValueError(
            f"'{name}' is not finite once it is reparametrised, as where a norm divides a weight of zeros: the network "
            "cannot be measured"
        )


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
