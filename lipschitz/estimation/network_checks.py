"""Checks of a network before it is measured: what it takes and returns, its dtype, and whether it is a function.

A network is measured as a function of one sample. One that mixes the samples of its batch, or that returns something
else at each call, is told apart here.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lipschitz.errors import first_line
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import AFFINE, affine_layers
from lipschitz.estimation.lower_bound.gradient_norms import Network

Behaviour = Literal["function", "settles", "changes", "mixes samples"]

SETTLING_CALLS = 100
"""Calls after which a network that returned something else each time is taken never to settle."""
SINGLE_PRECISION = (
    "the network does not run in float64: it is measured in float32, whose rounding the lower bound allows for"
)
NOTES: dict[Behaviour, str] = {
    "settles": "the network changes itself when it is called, and was called until it settled: it is measured as it is "
    "then",
    "changes": "the network returns different values for the same input, as it is random or changes at every call: it "
    "has no Lipschitz constant",
    "mixes samples": "the network mixes the samples of a batch: measured as a function of a batch of one",
}


def accepted_dtype(net: nn.Module, shape: tuple[int, ...], points: Tensor) -> torch.dtype:
    """Return float64 if a copy of ``net`` takes such ``points`` ``(n, *shape)``, else float32 if that does.

    Raises:
        ValueError: neither does; the reason is that of float64.
    """
    try:
        _check_copy(net, shape, points, torch.float64)
    except ValueError as error:
        try:
            _check_copy(net, shape, points, torch.float32)
        except ValueError:
            raise error from None
        return torch.float32
    return torch.float64


def points_like(net: nn.Module, points: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``points`` in ``dtype`` on the device of the network's parameters."""
    device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    return points.detach().to(device, dtype)


def behaviour_of(net: nn.Module, points: Tensor) -> Behaviour:
    """Say how the outputs of ``net`` for one sample depend on other calls and on other samples.

    A network whose weights move at each call, as by a step of power iteration in its forward pass, is called until it
    returns the same twice.

    Raises:
        ValueError: the output cannot be differentiated by the input.
    """
    calls = _calls_until_equal(net, points[:1])
    if calls is None:
        return "changes"
    if calls > 2:
        return "settles"
    return "mixes samples" if _mixes_samples(net, points) else "function"


def notes_on(net: nn.Module, behaviour: Behaviour) -> list[str]:
    """Return what a reader of the bracket has to know: see `NOTES`, and layers that are another map in training."""
    return [*filter(None, [NOTES.get(behaviour), eval_mode_note(net)])]


def eval_mode_note(net: nn.Module) -> str:
    """Say that the bracket is of the network in eval mode if it has layers with running statistics, else nothing."""
    modules = net.named_modules()
    names = [name for name, module in modules if isinstance(module, _NormBase) and module.running_mean is not None]
    if not names:
        return ""
    more = f" and {len(names) - 1} more layers use" if len(names) > 1 else " uses"
    first = f"'{names[0]}'" if names[0] else "the network"
    return f"the bracket is of the network in eval mode, where {first}{more} running statistics instead of the batch's"


def _check_copy(net: nn.Module, shape: tuple[int, ...], points: Tensor, dtype: torch.dtype) -> None:
    with float64_copy(net, dtype) as twin:
        _check(twin, shape, points_like(twin, points, dtype))


def _calls_until_equal(net: nn.Module, points: Tensor) -> int | None:
    """Return the number of calls after which the last two were equal, or None if they never are."""
    tolerance = 1e-12 if points.dtype == torch.float64 else 1e-6
    with torch.no_grad():
        last = net(points.clone())
        for calls in range(2, SETTLING_CALLS + 1):
            previous, last = last, net(points.clone())
            if torch.allclose(previous, last, rtol=tolerance, atol=0, equal_nan=True):
                return calls
    return None


def _check(net: nn.Module, shape: tuple[int, ...], points: Tensor) -> None:
    """Raise ValueError unless ``net`` returns one output for each sample; the error names the first layer."""
    if 0 in (shape or (0,)):
        raise ValueError(f"expected the shape of a sample, one or more positive sizes, got {shape}")
    if not len(points) or points.shape[1:] != shape:
        sizes = ", ".join(map(str, shape))
        raise ValueError(f"expected points of shape (n, {sizes}) with n > 0, got {tuple(points.shape)}")
    try:
        with torch.no_grad():
            outputs = net(points[:1].repeat(2, *[1] * len(shape)))
    except Exception as error:
        first = next(((name, layer) for name, layer in affine_layers(net)), None)
        hint = f"; its first layer is '{first[0]}', {class_name(first[1])}({first[1].extra_repr()})" if first else ""
        reason = first_line(error, with_type=True)
        raise ValueError(f"the network does not take samples of shape {shape}: {reason}{hint}") from error
    if not isinstance(outputs, Tensor):
        raise ValueError(f"expected the network to return one tensor, got {type(outputs).__name__}")
    if outputs.dim() == 0 or len(outputs) != 2:
        raise ValueError(f"expected the network to return (2, ...) for two samples, got {tuple(outputs.shape)}")
    if not outputs.dtype.is_floating_point or not outputs.numel():
        kind = str(outputs.dtype).removeprefix("torch.")
        raise ValueError(f"expected the network to return real numbers, got {kind} of shape {tuple(outputs.shape)}")
    if not torch.isfinite(outputs).all():
        raise ValueError("the network returns NaN or infinity for the first of the points: it cannot be measured")


def class_name(layer: nn.Module) -> str:
    """Return the name of torch's class of a weighted layer."""
    return next(kind.__name__ for kind in AFFINE if isinstance(layer, kind))


def _mixes_samples(net: Network, points: Tensor) -> bool:
    """Say whether the output for one sample depends on the other samples of its batch or on their number."""
    with torch.enable_grad():
        two = torch.cat([points[:1], points[-1:]]).requires_grad_()
        output = net(two.clone())[:1]
        if not output.requires_grad:
            raise ValueError("the network's output cannot be differentiated by its input: it cannot be measured")
        (gradients,) = torch.autograd.grad(output.sum(), two, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        alone = net(points[:1].clone())
    return bool(gradients[1].any()) or not torch.allclose(output.detach(), alone, rtol=1e-6, equal_nan=True)


def one_by_one(net: Network) -> Network:
    """Return the network that gives ``net`` one sample at a time."""
    return lambda points: torch.cat([net(point).reshape(1, -1) for point in torch.split(points, 1)])
