"""Lipschitz constants of activations against their slopes on a fine grid."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lipschitz.estimation.upper_bound.activation_constants import ACTIVATION_FUNCTIONS, ACTIVATION_MODULES

GRID = torch.linspace(-12, 12, 480_001, dtype=torch.float64)
INSTANCES = (
    nn.Identity(),
    nn.ReLU(),
    nn.ReLU6(),
    nn.Hardtanh(-2, 0.5),
    nn.Tanh(),
    nn.Softsign(),
    nn.Tanhshrink(),
    nn.Softshrink(),
    nn.LogSigmoid(),
    nn.Dropout(),
    nn.AlphaDropout(),
    nn.LeakyReLU(0.2),
    nn.LeakyReLU(3.0),
    nn.LeakyReLU(-2.0),
    nn.RReLU(),
    nn.RReLU(2.0, 4.0),
    nn.PReLU(init=1.5),
    nn.ELU(0.5),
    nn.ELU(2.0),
    nn.CELU(2.0),
    nn.SELU(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.Sigmoid(),
    nn.Hardsigmoid(),
    nn.Hardswish(),
    nn.Softplus(),
    nn.Softplus(3.0),
)


def largest_slope(f: nn.Module) -> float:
    with torch.no_grad():
        return float((f(GRID).diff() / GRID.diff()).abs().max())


@pytest.mark.parametrize("module", INSTANCES, ids=repr)
def test_an_elementwise_constant_is_the_largest_slope(module: nn.Module) -> None:
    constant = ACTIVATION_MODULES[type(module)](module.double().eval())
    assert largest_slope(module) <= constant * (1 + 1e-9)
    assert largest_slope(module) == pytest.approx(constant, rel=1e-4)


FUNCTIONS = {
    "leaky_relu": (F.leaky_relu, (3.0,)),
    "elu": (F.elu, (2.0,)),
    "celu": (F.celu, (2.0,)),
    "selu": (F.selu, ()),
    "gelu": (F.gelu, ()),
    "silu": (F.silu, ()),
    "mish": (F.mish, ()),
    "sigmoid": (torch.sigmoid, ()),
    "tanh": (torch.tanh, ()),
    "relu": (torch.relu, ()),
    "relu6": (F.relu6, ()),
    "hardsigmoid": (F.hardsigmoid, ()),
    "hardswish": (F.hardswish, ()),
    "hardtanh": (F.hardtanh, (-1.0, 2.0)),
    "clamp": (torch.clamp, (-1.0, 2.0)),
    "softplus": (F.softplus, (2.0,)),
    "prelu": (F.prelu, (torch.tensor([1.5], dtype=torch.float64),)),
    "dropout": (F.dropout, (0.5, False)),
    "abs": (torch.abs, ()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_torch_s_arguments(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    constant = ACTIVATION_FUNCTIONS[name](*arguments)
    assert largest_slope(lambda x: function(x, *arguments)) == pytest.approx(constant, rel=1e-4)


@pytest.mark.parametrize("module", [nn.Softmax(1), nn.Softmin(1), nn.Softmax2d()], ids=repr)
def test_softmax_has_constant_one_half(module: nn.Module) -> None:
    constant = ACTIVATION_MODULES[type(module)](module)
    rng = np.random.default_rng(0)
    norms = []
    for x in [np.zeros(2), np.array([0.0, 0.0, -50.0]), *(rng.normal(size=(200, 4)) * 3)]:
        p = np.exp(x) / np.exp(x).sum()
        norms.append(np.linalg.norm(np.diag(p) - np.outer(p, p), 2))
    assert max(norms) <= constant * (1 + 1e-12)
    assert max(norms) == pytest.approx(constant)


@pytest.mark.parametrize(
    "module",
    [nn.Softplus(threshold=1.0), nn.CELU(-1.0), nn.Dropout(), nn.RReLU()],
    ids=["jump", "growth", "random", "r"],
)
def test_a_module_without_a_constant_has_infinity(module: nn.Module) -> None:
    assert ACTIVATION_MODULES[type(module)](module.train()) == math.inf
