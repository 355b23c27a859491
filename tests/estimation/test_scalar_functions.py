"""Elementwise functions made of several operators, by hand; and conditions where they jump."""

import math
from collections.abc import Callable

import pytest
import torch
from test_operator_rules import bound, largest_jacobian
from torch import Tensor
from torch.nn import functional as F

BY_HAND: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "leaky ReLU by a condition": (lambda x: torch.where(x > 0, x, 0.2 * x), 1),
    "the same, the other way round": (lambda x: torch.where(x <= 0, 0.2 * x, x), 1),
    "a condition elsewhere": (lambda x: torch.where(x >= 0.5, 3 * x - 1, x), 3),
    "a constant on one side": (lambda x: torch.where(x < 0, 0.0, 2 * x), 2),
    "two conditions": (lambda x: torch.where(x > 1, x, torch.where(x < -1, 2 * x + 1, x)), 2),
    "a condition on an inner value": (lambda x: torch.where(2 * x > 1, 3 * (2 * x) - 2, 2 * x), 6),
    "a filled condition": (lambda x: x.masked_fill(x < 0, 0.0), 1),
    "ReLU as a product": (lambda x: x * (x > 0), 1),
    "ReLU as a product with numbers": (lambda x: 3 * ((x > 0).to(x.dtype) * x), 3),
    "SiLU": (lambda x: x * torch.sigmoid(x), 1.09984),
    "SiLU of a scaled value": (lambda x: torch.sigmoid(2 * x) * (2 * x), 2.19968),
    "a fast GELU": (lambda x: x * torch.sigmoid(1.702 * x), 1.09984),
    "GELU": (lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2))), 1.128904),
    "GELU of a scaled value": (lambda x: (torch.erf(-3 * x) + 1) * x * 2, 4.515616),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), 1.088499),
    "softsign": (F.softsign, 1),
    "leaky ReLU as a maximum": (lambda x: torch.maximum(x, 0.2 * x), 1),
    "a maximum with a constant": (lambda x: torch.maximum(x, torch.zeros(1, 3).double()), 1),
    "what is left of ReLU": (lambda x: x - x.relu(), 1),
    "tanhshrink": (F.tanhshrink, 1),
    "a sum of activations": (lambda x: x.relu() + (-x).relu(), 1),
    "a multiple of the same tensor": (lambda x: torch.add(x, F.dropout(x, training=False), alpha=0.1), 1.1),
    "the same, subtracted from it": (lambda x: torch.sub(F.dropout(x, training=False), x, alpha=-0.1), 1.1),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_constant_worked_out_by_hand(name: str) -> None:
    function, expected = BY_HAND[name]
    found = bound(function, (3,))
    assert found.constant == pytest.approx(expected, rel=1e-6)
    assert found.reasons == []
    assert largest_jacobian(function, (3,)) <= found.constant * (1 + 1e-9)


JUMPS: dict[str, Callable[[Tensor], Tensor]] = {
    "a small jump": lambda x: torch.where(x > 0, x + 1e-9, x),
    "a jump between constants": lambda x: torch.where(x > 0, 1e-30, 0.0) * 1e30 + x,
    "another threshold": lambda x: torch.where(x > 1, x, 0.2 * x),
    "a condition on another value": lambda x: torch.where(x.flip(1) > 0, x, 2 * x),
    "one condition for all entries": lambda x: torch.where(x[:, :1] > 0, x, 2 * x),
    "a condition on a sum": lambda x: torch.where(x.sum(1, keepdim=True) > 0, x, 2 * x),
    "a filled jump": lambda x: x.masked_fill(x < 1, 0.0),
    "a product that jumps": lambda x: (x + 1) * (x > 0),
    "a square by a condition": lambda x: torch.where(x > 0, x * x, x),
    "two conditions as numbers": lambda x: (x > 0).double() * (x < 1).double(),
    "an error function of another value": lambda x: x * (1 + torch.erf(x.flip(1))),
    "an error function that is not increased by one": lambda x: x * (2 + torch.erf(x)) + x * torch.erf(x),
    "a gate of another value": lambda x: x * torch.sigmoid(x.flip(1)),
}


@pytest.mark.parametrize("name", JUMPS)
def test_a_function_that_jumps_or_grows_has_no_constant(name: str) -> None:
    assert bound(JUMPS[name], (3,)).constant == math.inf
