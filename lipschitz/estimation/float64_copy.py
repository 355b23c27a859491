"""Copy a network in float64 and eval mode, so that measuring the copy does not change the network."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from lipschitz.estimation.layers import affine_layers


@contextmanager
def float64_copy(net: nn.Module, dtype: torch.dtype = torch.float64) -> Iterator[nn.Module]:
    """Yield a copy of ``net`` in ``dtype``, float64 or float32, and eval mode whose parameters need no gradient.

    The copy holds the effective weights: every reparametrised tensor is computed once, and is then a plain parameter.
    After the block torch's global random generators are as they were before. torch's old ``spectral_norm`` and
    ``weight_norm`` compute weights in a hook: the copy holds the weight that the hook would give, without another step
    of power iteration.

    Raises:
        ValueError: a parameter, a buffer or a reparametrised weight is not finite, has no values yet, or is a weight
            that is empty or not real.
    """
    _refuse_without_values(net)
    twin = copy.deepcopy(net, _detached_attributes(net)).eval().requires_grad_(False)
    _keep_epsilon(twin)
    # Unlike `to`, these leave complex values alone.
    twin = twin.double() if dtype == torch.float64 else twin.float()
    for name, value in twin.state_dict().items():
        if isinstance(value, Tensor) and not torch.isfinite(value).all():
            raise ValueError(f"'{name}' is not finite: the network cannot be measured")
    for module in twin.modules():
        _replace_weight_hooks(module)
    devices = {value.device for value in twin.state_dict().values() if isinstance(value, Tensor) and value.is_cuda}
    with torch.random.fork_rng(list(devices)):
        _replace_parametrizations(twin)
        for name, layer in affine_layers(twin):
            _refuse_degenerate_weight(f"{name}.weight".lstrip("."), layer.weight)
        for name, value in twin.named_parameters():
            _refuse_not_finite(name, value)
        yield twin


def _keep_epsilon(net: nn.Module) -> None:
    """Fix the ε of RMSNorm where it follows the dtype, so that the copy computes the network's function."""
    for module in net.modules():
        if isinstance(module, nn.RMSNorm) and module.eps is None:
            dtype = torch.get_default_dtype() if module.weight is None else module.weight.dtype
            module.eps = torch.finfo(dtype).eps


def _refuse_without_values(net: nn.Module) -> None:
    for name, module in net.named_modules():
        owner = f"'{name}'" if name else "the network"
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(f"{owner} was compiled by torch.jit and cannot be measured; allowed: what it was made of")
        for attribute, value in vars(module).items():
            if (held := next(_modules_in_closure(value), None)) is not None:
                raise ValueError(
                    f"'{attribute}' of {owner} is a function that holds a {type(held).__name__}, which a copy of the "
                    "network would not have; allowed: layers that are attributes of modules"
                )
    for name, value in [*net.named_parameters(), *net.named_buffers()]:
        if is_lazy(value):
            raise ValueError(f"'{name}' has no shape yet: call the network once before it is measured")
        if value.is_meta:
            raise ValueError(f"'{name}' is on the meta device and has no values: the network cannot be measured")


def _modules_in_closure(value: object) -> Iterator[nn.Module]:
    for cell in getattr(value, "__closure__", None) or ():
        with suppress(ValueError):  # An empty cell.
            if isinstance(cell.cell_contents, nn.Module):
                yield cell.cell_contents


def _refuse_degenerate_weight(name: str, weight: Tensor) -> None:
    if not weight.dtype.is_floating_point:
        raise ValueError(f"'{name}' is {str(weight.dtype).removeprefix('torch.')}; allowed: real floating weights")
    if not weight.numel():
        raise ValueError(f"'{name}' is empty, of shape {tuple(weight.shape)}: the network cannot be measured")
    _refuse_not_finite(name, weight)


def _refuse_not_finite(name: str, value: Tensor) -> None:
    if not torch.isfinite(value).all():
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


def _replace_parametrizations(net: nn.Module) -> None:
    """Replace every reparametrised tensor by its value, a parameter; all are computed first, since some may be tied."""
    parametrized = [module for module in net.modules() if parametrize.is_parametrized(module)]
    with torch.no_grad(), parametrize.cached():
        values = [
            {name: getattr(module, name) for name in cast(nn.ModuleDict, module.parametrizations)}
            for module in parametrized
        ]
    for module, tensors in zip(parametrized, values, strict=True):
        # torch makes the class of a parametrised module as a subclass of the module's own.
        module.__class__ = parametrize.type_before_parametrizations(module)
        del module.parametrizations
        for name, value in tensors.items():
            module.register_parameter(name, nn.Parameter(value, requires_grad=False))


def _replace_weight_hooks(module: nn.Module) -> None:
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
