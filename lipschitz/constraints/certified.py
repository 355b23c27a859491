"""What certified methods share: the networks that they accept, and weights whose bound rounding does not undo."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.one_lipschitz import why_unbounded
from lipschitz.estimation.layers import WeightedLayer, input_shapes, reparametrizations
from lipschitz.estimation.upper_bound.layer_bounds import has_torch_forward

MARGIN = 1e-7
"""By how much a kernel in float64 may exceed its bound by rounding."""

ALLOWED = (
    "Linear, Conv1d, Conv2d and ConvTranspose2d padded with zeros, 1-Lipschitz activations and pooling, modules that "
    "declare lipschitz_constant <= 1, and nn.Sequential of these"
)


class CertifiedWeight(nn.Module):
    """W -> a kernel of W's shape and dtype whose operator has a norm of at most ``coefficient``."""

    def __init__(self, coefficient: float) -> None:
        super().__init__()
        self.coefficient = coefficient

    @abstractmethod
    def bounded(self, weight: Tensor) -> Tensor:
        """Return a kernel in float64 whose operator has a norm of at most 1 + `MARGIN`."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the bounded kernel times the coefficient, less what rounding to W's dtype may add.

        Rounding moves each weight by at most ε/2 of itself: a kernel of t taps and rank r, whose Frobenius norm is at
        most √r times its operator's norm on a circle, moves that operator by at most √(t r) ε/2 of its norm.
        """
        taps = math.prod(weight.shape[2:])
        rank = min(weight.shape[0], weight.shape[1] * taps)
        excess = 2 * MARGIN + math.sqrt(taps * rank) * torch.finfo(weight.dtype).eps
        return (self.bounded(weight) * (self.coefficient / (1 + excess))).to(weight.dtype)

    def extra_repr(self) -> str:
        """Say the bound."""
        return f"coefficient={self.coefficient}"


def certify(
    method: str, net: nn.Module, shape: tuple[int, ...], weight: Callable[[WeightedLayer, torch.Size], CertifiedWeight]
) -> nn.Module:
    """Reparametrise each layer of ``net`` by what ``weight`` returns for it and for the sample that it is given.

    Raises:
        Refusal: ``method`` cannot bound the network.
    """
    layers = boundable_layers(method, net)
    shapes = input_shapes(net, shape)
    for name, layer in layers.items():
        parametrize.register_parametrization(layer, "weight", weight(layer, shapes[name]))
    return net


def check_certified(method: str, net: nn.Module, kind: type[CertifiedWeight]) -> None:
    """Refuse a network into which another method put what cannot be bounded, or whose weights it changes afterwards.

    Raises:
        Refusal: naming ``method`` and the layer.
    """
    for name, layer in boundable_layers(method, net).items():
        if not isinstance(next(reversed(reparametrizations(layer)), None), kind):
            raise Refusal(
                f"{method} no longer bounds the weight of '{name}', which another method changes afterwards; allowed: "
                f"{method} as the last method that reparametrises"
            )


def boundable_layers(method: str, net: nn.Module) -> dict[str, WeightedLayer]:
    """Return the weighted layers by name of a network that is else made of 1-Lipschitz modules, one after the other.

    Modules are judged by their class and fields. A hook is refused, since it may change anything; so is a class with a
    forward of its own, since it may add what its children return, unless it declares ``lipschitz_constant``: its inside
    is then its own affair.

    Raises:
        Refusal: naming ``method``, the module, the reason and what is allowed.
    """
    layers: dict[str, WeightedLayer] = {}
    for name, module in _leaves(net):
        reason = _why_changed(module) or (
            _why_no_layer(module) if isinstance(module, WeightedLayer) else why_unbounded(module)
        )
        if reason is not None:
            kind = parametrize.type_before_parametrizations(module).__name__
            raise Refusal(f"{method} cannot bound '{name or kind}' ({kind}): {reason}; allowed: {ALLOWED}")
        if isinstance(module, WeightedLayer) and module not in layers.values():
            layers[name] = module
    return layers


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield each module that is no nn.Sequential, as often as it stands in the network."""
    if type(module).forward is not nn.Sequential.forward:
        yield name, module
        return
    for key, child in module._modules.items():
        assert child is not None
        yield from _leaves(child, f"{name}.{key}" if name else key)


def _why_changed(module: nn.Module) -> str | None:
    if module._forward_hooks or module._forward_pre_hooks:
        return "a hook may change what it is given or returns"
    return "its forward was replaced" if "forward" in vars(module) else None


def _why_no_layer(layer: nn.Module) -> str | None:
    if not has_torch_forward(layer):
        return "its forward is its own"
    mode = getattr(layer, "padding_mode", "zeros")
    return None if mode == "zeros" else f"its padding mode is '{mode}'"
