"""Slopes of activations: the interval of difference quotients of torch's elementwise functions, and of dropout."""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from lipschitz.estimation.upper_bound.traced_call import Slopes

UNBOUNDED = Slopes(-math.inf, math.inf)
"""Of a function that jumps, that grows without bound, or that draws random numbers."""
INCREASING = Slopes(0.0, 1.0)
IDENTITY = Slopes(1.0, 1.0)
GELU = (1 + math.erf(1)) / 2 + math.exp(-1) / math.sqrt(math.pi) + 1e-15
"""The derivative Φ(x) + x φ(x) is largest at √2."""
GELU_TANH = 1.128994
"""That of the tanh form is largest near √2."""
SILU = 1.099840
"""The derivative s(x) (1 + x (1 - s(x))), s the sigmoid, is largest at x = 2.39936."""
MISH = Slopes(-0.112527, 1.088499)
SELU = 1.0507009873554805 * 1.6732632423543772
"""λ α (Klambauer et al. 2017, arXiv:1706.02515), the derivative at zero from the left; from the right it is λ."""


def _constant(slopes: Slopes) -> Callable[[], Slopes]:
    return lambda: slopes


def _leaky_relu(negative_slope: float = 0.01) -> Slopes:
    return IDENTITY.hull(Slopes(negative_slope, negative_slope))


def _prelu(weight: Tensor) -> Slopes:
    return IDENTITY.hull(Slopes(float(weight.min()), float(weight.max())))


def _elu(alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Slopes:
    # The derivative left of zero is α scale input_scale exp(input_scale x).
    if input_scale < 0:
        return UNBOUNDED
    left = alpha * scale * input_scale
    return Slopes(min(scale, left, 0.0), max(scale, left, 0.0))


def _celu(alpha: float = 1.0) -> Slopes:
    return INCREASING if alpha > 0 else UNBOUNDED


def _symmetric_about_half(high: float) -> Slopes:
    """For x g(x) with g(x) + g(-x) = 1: the slopes at x and -x have the sum 1."""
    return Slopes(1 - high, high)


def _gelu(approximate: str = "none") -> Slopes:
    return _symmetric_about_half(GELU if approximate == "none" else GELU_TANH)


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> Slopes:
    # Above the threshold torch returns x itself: with a low threshold the function has a jump there.
    return INCREASING if beta > 0 and threshold >= 20 else UNBOUNDED


def _clamp(min: Any = None, max: Any = None) -> Slopes:
    return INCREASING


def _threshold(threshold: float, value: float) -> Slopes:
    return INCREASING if value == threshold else UNBOUNDED


def _rrelu(lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None) -> Slopes:
    return UNBOUNDED if training else _leaky_relu((lower + upper) / 2)


def _dropout(p: float = 0.5, train: bool = True) -> Slopes:
    return UNBOUNDED if train else IDENTITY


def _softshrink(lambd: float = 0.5) -> Slopes:
    return INCREASING


ACTIVATION_FUNCTIONS: dict[str, Callable[..., Slopes]] = {
    **dict.fromkeys(("relu", "relu6", "tanh", "log_sigmoid", "atan", "arctan"), _constant(INCREASING)),
    **dict.fromkeys(("abs", "absolute", "sin", "cos"), _constant(Slopes(-1.0, 1.0))),
    **dict.fromkeys(("neg", "negative"), _constant(Slopes(-1.0, -1.0))),
    **dict.fromkeys(("sigmoid", "special_expit"), _constant(Slopes(0.0, 1 / 4))),
    **dict.fromkeys(("erf", "special_erf"), _constant(Slopes(0.0, 2 / math.sqrt(math.pi) + 1e-15))),
    **dict.fromkeys(("erfc", "special_erfc"), _constant(Slopes(-2 / math.sqrt(math.pi) - 1e-15, 0.0))),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max", "clip", "hardtanh"), _clamp),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), _dropout),
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
    "rrelu": _rrelu,
    "threshold": _threshold,
    "softshrink": _softshrink,
    "elu": _elu,
    "celu": _celu,
    "selu": _constant(Slopes(0.0, SELU)),
    "gelu": _gelu,
    "silu": _constant(_symmetric_about_half(SILU)),
    "mish": _constant(MISH),
    "hardsigmoid": _constant(Slopes(0.0, 1 / 6)),
    # The derivative (2 x + 3) / 6 is smallest at x = -3 and largest at x = 3.
    "hardswish": _constant(Slopes(-1 / 2, 3 / 2)),
    "softplus": _softplus,
}
"""By ATen's name of the function: returns the slopes, given the arguments after the input, named as in ATen."""

ACTIVATION_MODULES: dict[type[nn.Module], Callable[[Any], Slopes]] = {
    nn.Identity: lambda _: IDENTITY,
    **dict.fromkeys((nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh), lambda _: INCREASING),
    **dict.fromkeys((nn.Softsign, nn.Tanhshrink, nn.Softshrink, nn.LogSigmoid), lambda _: INCREASING),
    **dict.fromkeys(
        (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout), lambda m: _dropout(train=m.training)
    ),
    nn.LeakyReLU: lambda m: _leaky_relu(m.negative_slope),
    nn.RReLU: lambda m: _rrelu(m.lower, m.upper, m.training),
    nn.PReLU: lambda m: _prelu(m.weight.detach()),
    nn.ELU: lambda m: _elu(m.alpha),
    nn.CELU: lambda m: _celu(m.alpha),
    nn.SELU: lambda _: ACTIVATION_FUNCTIONS["selu"](),
    nn.GELU: lambda m: _gelu(m.approximate),
    nn.SiLU: lambda _: ACTIVATION_FUNCTIONS["silu"](),
    nn.Mish: lambda _: MISH,
    nn.Sigmoid: lambda _: ACTIVATION_FUNCTIONS["sigmoid"](),
    nn.Hardsigmoid: lambda _: ACTIVATION_FUNCTIONS["hardsigmoid"](),
    nn.Hardswish: lambda _: ACTIVATION_FUNCTIONS["hardswish"](),
    nn.Softplus: lambda m: _softplus(m.beta, m.threshold),
}
"""By class: returns the slopes, given the module."""
