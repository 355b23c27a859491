"""Intervals of slopes of activations against their slopes on a fine grid."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.upper_bound.activation_slopes import ACTIVATION_FUNCTIONS, ACTIVATION_MODULES
from lipschitz.estimation.upper_bound.traced_call import Slopes

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


def slopes_on_the_grid(f: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    with torch.no_grad():
        slopes = f(GRID).diff() / GRID.diff()
    return float(slopes.min()), float(slopes.max())


def check(slopes: Slopes, f: Callable[[Tensor], Tensor]) -> None:
    """The interval holds every slope on the grid, and both ends are nearly reached."""
    low, high = slopes_on_the_grid(f)
    assert slopes.low - 1e-9 <= low
    assert high <= slopes.high + 1e-9
    assert (low, high) == pytest.approx(tuple(slopes), rel=1e-4, abs=1e-2 if 0.0 in slopes else 1e-5)
    assert max(-low, high) == pytest.approx(slopes.constant, rel=1e-4)


@pytest.mark.parametrize("module", INSTANCES, ids=repr)
def test_the_slopes_of_a_module_are_those_on_the_grid(module: nn.Module) -> None:
    check(ACTIVATION_MODULES[type(module)](module.double().eval()), module)


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
    "neg": (torch.neg, ()),
    "sin": (torch.sin, ()),
    "cos": (torch.cos, ()),
    "atan": (torch.atan, ()),
    "erf": (torch.erf, ()),
    "erfc": (torch.erfc, ()),
    "clamp_min": (torch.clamp_min, (-1.0,)),
    "threshold": (F.threshold, (0.5, 0.5)),
    "softshrink": (F.softshrink, (0.3,)),
    "log_sigmoid": (F.logsigmoid, ()),
    "rrelu": (torch.rrelu, (0.2, 0.4)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_the_arguments_of_its_operator(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    check(ACTIVATION_FUNCTIONS[name](*arguments), lambda x: function(x, *arguments))


@pytest.mark.parametrize(
    "module",
    [nn.Softplus(threshold=1.0), nn.CELU(-1.0), nn.Dropout(), nn.RReLU()],
    ids=["jump", "growth", "random", "r"],
)
def test_a_module_without_a_constant_has_infinity(module: nn.Module) -> None:
    assert ACTIVATION_MODULES[type(module)](module.train()).constant == math.inf


def test_slopes_of_a_composition_and_their_hull() -> None:
    assert Slopes(-2, 1).after(Slopes(-1, 3)) == Slopes(-6, 3)
    assert Slopes(0, 1).hull(Slopes(-1, 0.5), Slopes(2, 3)) == Slopes(-1, 3)
    assert Slopes(-2, 1).constant == 2
