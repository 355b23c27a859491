"""Certified bounds that hold in floating point, and the check that a network can be certified layer by layer."""

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.composition import (
    JointProjection,
    SumOfRows,
    composed,
    is_composition,
    make_composable,
    rows_as_groups,
)
from lipschitz.constraints.one_lipschitz import why_not_one_lipschitz
from lipschitz.estimation.layers import (
    WeightedLayer,
    has_torch_forward,
    input_shapes,
    probe_input_shapes,
    reparametrizations,
)

MARGIN = 1e-7
"""Largest relative excess of a float64 kernel over its bound by rounding."""

ALLOWED = (
    "Linear, Conv1d, Conv2d and ConvTranspose2d padded with zeros, 1-Lipschitz activations and pooling, modules that "
    "declare lipschitz_constant <= 1, and of these nn.Sequential, residual blocks and projection discriminators"
)


class CertifiedWeight(nn.Module):
    """Reparametrisation W -> kernel of the same dtype, with an operator norm of at most ``coefficient``.

    The kernel has the shape of W, unless it is `circular`.
    """

    circular = False
    """Whether the kernel is as large as the map, for a convolution that pads in a circle; see `adapt`."""

    def __init__(self, coefficient: float) -> None:
        super().__init__()
        self.coefficient = coefficient

    @abstractmethod
    def bounded(self, weight: Tensor) -> Tensor:
        """Return a float64 kernel whose operator norm is at most 1 + `MARGIN`."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the bounded kernel times the coefficient, scaled down by the possible rounding error of W's dtype."""
        return rounded(self.bounded(weight), self.coefficient, weight.dtype)

    def adapt(self, layer: nn.Module) -> None:
        """Change the arguments of ``layer`` to those that the kernel is for, in place."""

    def extra_repr(self) -> str:
        """Show the coefficient."""
        return f"coefficient={self.coefficient}"


def rounded(kernel: Tensor, bound: float, dtype: torch.dtype) -> Tensor:
    """Return a kernel of norm at most 1 + `MARGIN` times ``bound`` in ``dtype``; its norm is then at most ``bound``.

    Rounding changes each entry by at most a relative ε/2. A kernel with t taps and rank r has a Frobenius norm of at
    most √r times its operator norm with circular padding, so rounding changes that operator norm by at most a relative
    √(t r) ε/2.
    """
    taps = math.prod(kernel.shape[2:])
    rank = min(kernel.shape[0], kernel.shape[1] * taps)
    excess = 2 * MARGIN + math.sqrt(taps * rank) * torch.finfo(dtype).eps
    return (kernel * (bound / (1 + excess))).to(dtype)


def certify(
    method: str, net: nn.Module, shape: tuple[int, ...], build: Callable[[WeightedLayer, torch.Size], CertifiedWeight]
) -> nn.Module:
    """Reparametrise every weighted layer of ``net`` by a certified method, in place; return ``net``.

    Modules that are not 1-Lipschitz where their parts are become their substitutes in
    `lipschitz.constraints.composition`: residual sums are halved, sum pooling is divided by √(h w), the class embedding
    and the last layer of a projection discriminator are bounded as one.

    Args:
        method: name of the method, for error messages.
        net: the network.
        shape: shape of one sample, without the batch.
        build: (layer, shape of the layer's input without the batch) -> reparametrisation of the layer's weight.

    Raises:
        Refusal: the method cannot bound the network.
    """
    make_composable(net)
    layers = boundable_layers(method, net)
    _check_padding(method, layers)
    shapes = input_shapes(net, shape)
    heads = {module.projection: module for module in net.modules() if isinstance(module, JointProjection)}
    steps = {
        name: _step(method, name, layer, shapes[name], build) for name, layer in layers.items() if layer not in heads
    }
    _check_sizes(method, net, shape, {name: layers[name] for name, step in steps.items() if step.circular})
    for name, layer in layers.items():
        if layer in heads:
            _bound_rows(layer, heads[layer].output, build)
        else:
            # Unsafe: torch does not check that the weight keeps its shape.
            parametrize.register_parametrization(layer, "weight", steps[name], unsafe=steps[name].circular)
            steps[name].adapt(layer)
    return net


def _step(
    method: str,
    name: str,
    layer: WeightedLayer,
    shape: torch.Size,
    build: Callable[[WeightedLayer, torch.Size], CertifiedWeight],
) -> CertifiedWeight:
    try:
        return build(layer, shape)
    except Refusal as reason:
        raise Refusal(f"{method} cannot bound '{name or _kind(layer)}' ({_kind(layer)}): {reason}") from None


def _check_padding(method: str, layers: dict[str, WeightedLayer]) -> None:
    """Refuse a layer that another certified method has made circular, whose kernel is known to that method alone."""
    for name, layer in layers.items():
        if getattr(layer, "padding_mode", "zeros") != "zeros":
            raise Refusal(
                f"{method} cannot bound '{name or _kind(layer)}' ({_kind(layer)}): an earlier certified method made it "
                "pad in a circle; allowed: one certified method"
            )


def _check_sizes(method: str, net: nn.Module, shape: tuple[int, ...], circular: dict[str, WeightedLayer]) -> None:
    """Refuse a layer that is used on maps of several sizes: a kernel as large as the map fits one."""
    sizes: dict[str, set[tuple[int, ...]]] = {name: set() for name in circular}
    probe_input_shapes(net, shape, [(layer, sizes[name].add) for name, layer in circular.items()])
    for name, seen in sizes.items():
        if len(seen) > 1:
            first, second, *_ = sorted(seen, reverse=True)
            raise Refusal(
                f"{method} cannot bound '{name or _kind(circular[name])}' ({_kind(circular[name])}): it pads in a "
                f"circle, but the layer is used on maps {tuple(first)} and {tuple(second)}; allowed: maps of one size"
            )


def _kind(module: nn.Module) -> str:
    return parametrize.type_before_parametrizations(module).__name__


class BoundedRows(CertifiedWeight):
    """Reparametrisation of a matrix whose rows are bounded one by one: by a method's, of a convolution with groups."""

    def __init__(self, of_groups: CertifiedWeight) -> None:
        super().__init__(of_groups.coefficient)
        self.of_groups = of_groups

    def bounded(self, weight: Tensor) -> Tensor:
        """Return the rows, each of norm at most 1 + `MARGIN`, in float64."""
        return self.of_groups.bounded(weight[:, :, None])[:, :, 0]


def _bound_rows(
    layer: nn.Linear, output: nn.Linear, build: Callable[[WeightedLayer, torch.Size], CertifiedWeight]
) -> None:
    parametrize.register_parametrization(layer, "weight", SumOfRows(output))
    groups = rows_as_groups(layer)
    step = BoundedRows(build(groups, torch.Size((groups.in_channels, 1))))
    parametrize.register_parametrization(layer, "weight", step)


def check_certified(method: str, net: nn.Module, kind: type[CertifiedWeight]) -> None:
    """Check that no other constraint has broken the certified bound of ``net``.

    Raises:
        Refusal: another constraint has added a module without a bound, or reparametrises a weight after ``kind``.
    """
    for name, layer in boundable_layers(method, net).items():
        last = next(reversed(reparametrizations(layer)), None)
        if type(last.of_groups if isinstance(last, BoundedRows) else last) is not kind:
            raise Refusal(
                f"{method} no longer bounds the weight of '{name}', because a later method changes it; allowed: "
                f"{method} as the last method that reparametrises"
            )


def boundable_layers(method: str, net: nn.Module) -> dict[str, WeightedLayer]:
    """Return the weighted layers of ``net`` by name, after checking that all other modules are 1-Lipschitz.

    The network must be a composition of modules, see `lipschitz.constraints.composition`. Each module is judged by its
    class and fields. Forward hooks are refused, because they may change inputs and outputs. Modules with a custom
    forward are refused, because they may for example add the outputs of their children. A module that declares
    ``lipschitz_constant <= 1`` is accepted without looking at its children.

    Raises:
        Refusal: a module is not known to be 1-Lipschitz; the message names method, module, reason and what is allowed.
    """
    layers: dict[str, WeightedLayer] = {}
    for name, module in composed(net):
        reason = _why_forward_is_changed(module) or _why_unknown(module)
        if reason is not None:
            kind = _kind(module)
            raise Refusal(f"{method} cannot bound '{name or kind}' ({kind}): {reason}; allowed: {ALLOWED}")
        if isinstance(module, WeightedLayer) and module not in layers.values():
            layers[name] = module
    return layers


def _why_forward_is_changed(module: nn.Module) -> str | None:
    if module._forward_hooks or module._forward_pre_hooks:
        return "a forward hook may change its input or output"
    return "its forward method was replaced" if "forward" in vars(module) else None


def _why_unknown(module: nn.Module) -> str | None:
    if isinstance(module, WeightedLayer):
        return _why_layer_is_unknown(module)
    return None if is_composition(module) else why_not_one_lipschitz(module)


def _why_layer_is_unknown(layer: nn.Module) -> str | None:
    if not has_torch_forward(layer):
        return "its class has a custom forward"
    mode = getattr(layer, "padding_mode", "zeros")
    if any(isinstance(step, CertifiedWeight) and step.circular for step in reparametrizations(layer)):
        return None
    return None if mode == "zeros" else f"its padding mode is '{mode}'"
