"""Lipschitz constants of activations: torch's activation modules and functions, dropout and softmax."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def _one(inplace: bool = False) -> float:
    return 1.0


def _leaky_relu(negative_slope: float = 0.01, inplace: bool = False) -> float:
    return max(1.0, abs(negative_slope))


def _prelu(weight: Tensor) -> float:
    return max(1.0, float(weight.detach().abs().max()))


def _elu(alpha: float = 1.0, inplace: bool = False) -> float:
    # The derivative is α eˣ left of zero.
    return max(1.0, abs(alpha))


def _celu(alpha: float = 1.0, inplace: bool = False) -> float:
    return 1.0 if alpha > 0 else math.inf


def _selu(inplace: bool = False) -> float:
    # λ α (Klambauer et al. 2017, arXiv:1706.02515), the derivative at zero from the left; from the right it is λ.
    return 1.0507009873554805 * 1.6732632423543772


def _gelu(approximate: str = "none") -> float:
    # The derivative Φ(x) + x φ(x) is largest at √2. That of the tanh form is largest near √2.
    return (1 + math.erf(1)) / 2 + math.exp(-1) / math.sqrt(math.pi) if approximate == "none" else 1.128994


def _silu(inplace: bool = False) -> float:
    # The derivative s(x) (1 + x (1 - s(x))), s the sigmoid, is largest at x = 2.39936.
    return 1.099840


def _mish(inplace: bool = False) -> float:
    return 1.088499


def _sigmoid() -> float:
    return 1 / 4


def _hardsigmoid(inplace: bool = False) -> float:
    return 1 / 6


def _hardswish(inplace: bool = False) -> float:
    # The derivative (2 x + 3) / 6 is largest at x = 3.
    return 3 / 2


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> float:
    # Above the threshold torch returns x itself: with a low threshold the function has a jump there.
    return 1.0 if beta > 0 and threshold >= 20 else math.inf


def _clamp(min: float | None = None, max: float | None = None) -> float:
    return 1.0


def _hardtanh(min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> float:
    return 1.0


def _softmax(dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> float:
    # The Jacobian J is symmetric and positive semidefinite. For a unit vector v, vᵀ J v is the variance of v under the
    # probabilities, which is at most (max v - min v)² / 4 <= 1/2 (Popoviciu).
    return 1 / 2


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> float:
    return math.inf if training else 1.0


ACTIVATION_FUNCTIONS: dict[str, Callable[..., float]] = {
    **dict.fromkeys(("relu", "relu_", "relu6", "abs", "absolute", "neg", "negative", "detach"), _one),
    **dict.fromkeys(("tanh", "tanh_", "softsign", "tanhshrink", "logsigmoid"), _one),
    **dict.fromkeys(("sigmoid", "sigmoid_"), _sigmoid),
    **dict.fromkeys(("leaky_relu", "leaky_relu_"), _leaky_relu),
    **dict.fromkeys(("elu", "elu_"), _elu),
    **dict.fromkeys(("celu", "celu_"), _celu),
    **dict.fromkeys(("selu", "selu_"), _selu),
    **dict.fromkeys(("clamp", "clamp_", "clip", "clip_"), _clamp),
    **dict.fromkeys(("hardtanh", "hardtanh_"), _hardtanh),
    **dict.fromkeys(("softmax", "softmin"), _softmax),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"), _dropout),
    "prelu": _prelu,
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
    "softplus": _softplus,
}
"""By torch's name of the function: returns the constant, given the arguments after the input, named as in torch."""

ACTIVATION_MODULES: dict[type[nn.Module], Callable[[Any], float]] = {
    **dict.fromkeys((nn.Identity, nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh), lambda _: 1.0),
    **dict.fromkeys((nn.Softsign, nn.Tanhshrink, nn.Softshrink, nn.LogSigmoid), lambda _: 1.0),
    **dict.fromkeys(
        (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout), lambda m: _dropout(training=m.training)
    ),
    **dict.fromkeys((nn.Softmax, nn.Softmin, nn.Softmax2d), lambda _: _softmax()),
    nn.LeakyReLU: lambda m: _leaky_relu(m.negative_slope),
    nn.RReLU: lambda m: math.inf if m.training else _leaky_relu((m.lower + m.upper) / 2),
    nn.PReLU: lambda m: _prelu(m.weight),
    nn.ELU: lambda m: _elu(m.alpha),
    nn.CELU: lambda m: _celu(m.alpha),
    nn.SELU: lambda _: _selu(),
    nn.GELU: lambda m: _gelu(m.approximate),
    nn.SiLU: lambda _: _silu(),
    nn.Mish: lambda _: _mish(),
    nn.Sigmoid: lambda _: _sigmoid(),
    nn.Hardsigmoid: lambda _: _hardsigmoid(),
    nn.Hardswish: lambda _: _hardswish(),
    nn.Softplus: lambda m: _softplus(m.beta, m.threshold),
}
"""By class: returns the constant, given the module."""
