"""Gradient ascent on the norm of the input gradient of a network whose ReLUs are smoothed.

The gradient of a piecewise-linear network does not change inside of a region, so its norm has no useful derivative.
With w softplus(x / w) in the place of ReLU it has one. The width w falls during the ascent, so that the end of it is
close to the network itself. It is a way to find steep points only: slopes are measured on the network as it is.
"""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from lipschitz.estimation.lower_bound.gradient_norms import Network, one_where_zero, per_sample, sample_norms
from lipschitz.out_of_memory import lacks_memory

WIDTHS = (0.3, 0.02)
"""Width of the smoothed kink at the first and the last step, relative to the root mean square of its inputs."""
LENGTHS = (0.15, 0.02)
"""Length of the first and the last step, relative to a point's norm, or to the scale of the data if that is larger."""
MOMENTUM = 0.7
RELUS = frozenset([F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.leaky_relu, F.leaky_relu_])


class SmoothedReLUs(TorchFunctionMode):
    """Within it, ReLU and leaky ReLU are s x + (1 - s) w softplus(x / w), s the negative slope."""

    def __init__(self) -> None:
        super().__init__()
        self.width = WIDTHS[0]
        """w, relative to the root mean square of each call's inputs."""
        self.calls = 0
        """How many ReLUs were smoothed."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace ReLUs; call anything else as it is."""
        kwargs = kwargs or {}
        if func not in RELUS:
            return func(*args, **kwargs)
        self.calls += 1
        x, *others = (*args, *kwargs.values())
        slope = float(next((value for value in others if not isinstance(value, bool)), 0.01))
        slope = slope if "leaky" in func.__name__ else 0.0
        width = self.width * x.detach().square().mean().sqrt().clamp_min(torch.finfo(x.dtype).tiny)
        return slope * x + (1 - slope) * width * F.softplus(x / width)


def steep_points_by_smoothing(net: Network, points: Tensor, scale: float, steps: int) -> Tensor | None:
    """Return where the ascent from each of ``points`` ``(n, ...)`` ends, in their dtype.

    Runs in float32 where the network is a module.

    Args:
        net: ``(n, ...)`` -> ``(n, 1)``, each sample independent of the others.
        points: where it starts.
        scale: mean norm of the data.
        steps: each costs a forward pass and a derivative of the gradient for all points.

    Returns:
        None where the network has no ReLU, several outputs, or no second derivatives.
    """
    smoothed = SmoothedReLUs()
    if isinstance(net, nn.Module):
        net = copy.deepcopy(net).float()
    x = points.float() if isinstance(net, nn.Module) else points
    velocity = torch.zeros_like(x)
    try:
        for step in range(steps):
            progress = step / max(steps - 1, 1)
            smoothed.width = _between(WIDTHS, progress)
            direction = _ascent_direction(net, x, smoothed)
            if direction is None:
                return None
            velocity = MOMENTUM * velocity + (1 - MOMENTUM) * direction
            length = _between(LENGTHS, progress) * sample_norms(x).clamp_min(scale)
            x = x + per_sample(length / one_where_zero(sample_norms(velocity)), x) * velocity
    except RuntimeError as error:
        if lacks_memory(error):
            raise
        # torch has no second derivative of some function.
        return None
    return x.to(points.dtype) if bool(torch.isfinite(x).all()) else None


def _ascent_direction(net: Network, points: Tensor, smoothed: SmoothedReLUs) -> Tensor | None:
    """Return the direction ``(n, ...)`` in which the gradient's norm grows fastest, of norm one."""
    with torch.enable_grad():
        x = points.detach().requires_grad_()
        with smoothed:
            output = net(x.clone())
        if output.numel() != len(x) or not smoothed.calls:
            return None
        (gradient,) = torch.autograd.grad(output.sum(), x, create_graph=True)
        (direction,) = torch.autograd.grad(one_where_zero(sample_norms(gradient)).log().sum(), x)
    direction = direction.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return direction / per_sample(one_where_zero(sample_norms(direction)), direction)


def _between(ends: tuple[float, float], progress: float) -> float:
    """Interpolate between two positive numbers, geometrically."""
    return math.exp(math.log(ends[0]) + progress * math.log(ends[1] / ends[0]))
