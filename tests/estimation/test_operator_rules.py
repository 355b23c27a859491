"""Constants of torch's functions worked out by hand; no Jacobian at a random point may be above them."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.upper_bound.composition import UpperBound, upper_bound

MATRIX = torch.tensor([[1.0, -3.0, 0.5], [0.5, 2.0, -1.0]], dtype=torch.float64)
SIGMA = float(np.linalg.norm(MATRIX.numpy(), 2))
KERNEL = torch.tensor([[[1.0, -2.0]]], dtype=torch.float64)
MASK = torch.tensor([True, False])


class Applied(nn.Module):
    """A network that is a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def bound(function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> UpperBound:
    return upper_bound(Applied(function), shape)


def largest_jacobian(function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> float:
    rng = torch.Generator().manual_seed(1)
    norms = []
    for scale in (1e-3, 1.0, 30.0):
        x = scale * torch.randn((1, *shape), generator=rng, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(function, x).reshape(-1, x.numel())
        norms.append(np.linalg.norm(jacobian.nan_to_num().numpy(), 2))
    return float(max(norms))


LINEAR: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...], float]] = {
    "linear": (lambda x: F.linear(x, MATRIX), (3,), SIGMA),
    "linear with a computed weight": (lambda x: F.linear(x, MATRIX / MATRIX.norm() * 2), (3,), 2 * SIGMA / 15.5**0.5),
    "linear on each position": (lambda x: F.linear(x, MATRIX), (4, 3), SIGMA),
    "conv1d": (lambda x: F.conv1d(x, KERNEL), (1, 2), 5**0.5),
    "conv1d, same padding": (lambda x: F.conv1d(x, F.pad(KERNEL, (0, 1)), padding="same"), (1, 1), 2),
    "conv2d": (lambda x: F.conv2d(x, KERNEL[None], stride=(1, 2)), (1, 1, 4), 5**0.5),
    "conv3d": (lambda x: F.conv3d(x, KERNEL[None, None], stride=2), (1, 3, 3, 4), 5**0.5),
    "conv2d without a batch": (lambda x: F.conv2d(x[0], KERNEL[None], stride=(1, 2)), (1, 1, 4), 5**0.5),
    "conv_transpose1d": (lambda x: F.conv_transpose1d(x, KERNEL, stride=2), (1, 3), 5**0.5),
    "conv_transpose3d": (lambda x: F.conv_transpose3d(x, KERNEL[None, None], stride=2), (1, 2, 2, 2), 5**0.5),
    "a kernel for each channel": (lambda x: F.conv1d(x, torch.cat([KERNEL, 2 * KERNEL]), groups=2), (2, 2), 20**0.5),
    "einsum": (lambda x: torch.einsum("bi,oi->bo", x, MATRIX), (3,), SIGMA),
    "tensordot": (lambda x: torch.tensordot(x, MATRIX, dims=([1], [1])), (3,), SIGMA),
    "matmul from the left": (lambda x: MATRIX @ x, (3, 2), SIGMA),
    "matmul": (lambda x: x @ MATRIX.T, (3,), SIGMA),
    "a product beside a large constant": (
        lambda x: torch.baddbmm(torch.full((1, 1, 2), 1e17).double(), x[:, None], MATRIX.T[None]),
        (3,),
        SIGMA,
    ),
    "bmm": (lambda x: torch.bmm(MATRIX[None], x), (3, 2), SIGMA),
    "addmm": (lambda x: torch.addmm(torch.ones(2).double(), x, MATRIX.T, beta=7, alpha=3), (3,), 3 * SIGMA),
    "mv": (lambda x: MATRIX @ x[0], (3,), SIGMA),
    "an inner product": (lambda x: (x[0] @ MATRIX[0])[None], (3,), 10.25**0.5),
    "alpha": (lambda x: torch.add(x, x, alpha=3), (2,), 4),
    "minus alpha": (lambda x: torch.sub(torch.ones(2), x, alpha=3), (2,), 3),
    "rsub": (lambda x: torch.rsub(x, 1, alpha=3), (2,), 3),
    "lerp": (lambda x: torch.lerp(x, torch.ones(2, dtype=torch.float64), 0.25), (2,), 0.75),
    "a constant mask": (lambda x: 2 * x.masked_fill(MASK, 7.0), (2,), 2),
    "a constant condition": (lambda x: torch.where(MASK, 2 * x, torch.ones(2, dtype=torch.float64)), (2,), 2),
    "bicubic": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
        (2, 4, 5),
        largest_jacobian(lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), (1, 4, 5)),
    ),
    "bicubic to a size": (
        lambda x: F.interpolate(x, size=(3, 6), mode="bicubic", align_corners=True),
        (1, 4, 5),
        largest_jacobian(lambda x: F.interpolate(x, size=(3, 6), mode="bicubic", align_corners=True), (1, 4, 5)),
    ),
    "casts": (lambda x: x.to(torch.float64).type_as(x).clone().double(), (2,), 1),
    "windows summed up": (lambda x: F.fold(F.unfold(x, 2, stride=2), (4, 4), 2, stride=2), (1, 4, 4), 1),
    "indices": (lambda x: x[:, torch.tensor([0, 0, 1])], (2,), 2**0.5),
    "rolled and flipped": (lambda x: x.roll(1, 1).flip(1), (3,), 1),
    "a sum over an axis": (lambda x: x.sum(1), (4,), 2),
    "a value that is detached": (lambda x: 2 * x + x.detach(), (2,), 3),
}
SCHUR: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...], float]] = {
    "hypotenuse": (lambda x: torch.hypot(3 * x, 4 * x), (2,), 5),
    "differences": (lambda x: x.diff(), (30,), 2),
    "upper triangle": (lambda x: x.triu(), (3, 3), 1),
    "cumulative sum": (lambda x: x.cumsum(1), (3,), 3),
}
NONLINEAR: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...], float]] = {
    "batch norm": (
        lambda x: F.batch_norm(x, torch.zeros(2).double(), torch.ones(2).double() * 3, eps=1.0),
        (2, 3),
        1 / 2,
    ),
    "batch norm beside an operator in place": (
        lambda x: (
            F.batch_norm(x, torch.zeros(2).double(), torch.ones(2).double() * 3, eps=1.0).clone().view(-1).mul_(2)
        ),
        (2, 3),
        1,
    ),
    "layer norm": (lambda x: F.layer_norm(x, (3,), eps=0.25), (3,), 2),
    "group norm": (lambda x: F.group_norm(x, 1, 3 * torch.ones(4).double(), eps=0.25), (4,), 6),
    "instance norm": (lambda x: F.instance_norm(x, eps=0.25), (2, 3), 2),
    "root mean square norm": (lambda x: F.rms_norm(x, (3,), eps=0.25), (3,), 2),
    "norm": (lambda x: x.norm(dim=1), (3,), 1),
    "norm of order one": (lambda x: torch.linalg.vector_norm(x, 1, dim=1), (4,), 2),
    "largest absolute value": (lambda x: torch.linalg.vector_norm(x, math.inf, dim=1), (4,), 1),
    "logsumexp": (lambda x: x.logsumexp(1), (3,), 1),
    "log softmax": (lambda x: F.log_softmax(x, 1), (4,), 2),
    "standard deviation": (lambda x: x.std(1), (5,), 1 / 2),
    "standard deviation and mean": (lambda x: torch.cat(torch.std_mean(x, 1, keepdim=True), 1), (5,), 2**-0.5),
    "standard deviation of the population": (lambda x: x.std(1, correction=0), (4,), 1 / 2),
    "median": (lambda x: x.median(1)[0], (3,), 1),
    "second smallest": (lambda x: x.kthvalue(2, 1).values, (3,), 1),
    "running maximum": (lambda x: x.cummax(1)[0], (4,), 2),
    "max pooling with indices": (lambda x: F.max_pool2d(x, 2, return_indices=True)[0], (1, 4, 4), 1),
    "two of three": (lambda x: x.topk(2, 1).values, (3,), 1),
    "softmin": (lambda x: F.softmin(x, 1), (3,), 1 / 2),
    "clamp_min": (lambda x: 2 * x.clamp_min(0), (2,), 2),
    "threshold": (lambda x: F.threshold(x, 1.0, 1.0), (2,), 1),
    "softshrink": (lambda x: F.softshrink(x), (2,), 1),
    "rrelu": (lambda x: F.rrelu(x, 2.0, 4.0), (2,), 3),
    "sin, cos, atan": (lambda x: x.sin() + x.cos() + x.atan(), (2,), 3),
    "erf": (lambda x: x.erf(), (2,), 2 / math.pi**0.5),
    "a gate that a comparison of shapes chooses": (lambda x: x.relu() if x.shape[1] > 1 else x.exp(), (2,), 1),
    "an average under a grad mode": (lambda x: _with_gradient(x), (4,), 1 / 2),
}


def _with_gradient(x: Tensor) -> Tensor:
    with torch.enable_grad():
        return x.mean(1)


@pytest.mark.parametrize("name", LINEAR)
def test_an_affine_function_has_the_norm_of_its_matrix(name: str) -> None:
    function, shape, expected = LINEAR[name]
    found = bound(function, shape)
    assert found.reasons == []
    assert found.constant == pytest.approx(expected, rel=1e-6)
    if "detached" not in name:
        assert largest_jacobian(function, shape) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", [*SCHUR, *NONLINEAR])
def test_a_constant_is_that_worked_out_by_hand_and_above_every_jacobian(name: str) -> None:
    function, shape, expected = {**SCHUR, **NONLINEAR}[name]
    found = bound(function, shape)
    assert found.constant == pytest.approx(expected, rel=1e-6)
    assert largest_jacobian(function, shape) <= found.constant * (1 + 1e-12)


def test_a_cast_to_float32_is_noted() -> None:
    found = bound(lambda x: 2 * x.float().to(torch.float64), (2,))
    assert found == UpperBound(2, ["to in the network (Applied) rounds to float32; the bound does not count that"], 2)


UNBOUNDED: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...], str]] = {
    "values and places of a sort": (
        lambda x: torch.stack(x.sort(dim=1), 1),
        (2,),
        "stack in the network (Applied) uses",
    ),
    "values and places of a maximum": (lambda x: torch.cat(x.max(1, keepdim=True), 1), (2,), "returns integers"),
    "values and places of a selection": (lambda x: torch.stack(x.topk(2, 1), 1), (2,), "returns integers"),
    "whole numbers": (lambda x: x.long().double(), (2,), "to in the network (Applied) returns integers"),
    "classes": (lambda x: F.one_hot(x.argmax(1), 2).double(), (2,), "argmax in the network (Applied) returns integers"),
    "rounding": (lambda x: x.round(), (2,), "round in the network (Applied) is discontinuous"),
    "signs": (lambda x: x.sign(), (2,), "is discontinuous"),
    "floors": (lambda x: torch.floor(x), (2,), "is discontinuous"),
    "truth values": (lambda x: (x > 0).double(), (2,), "gt in the network (Applied) returns truth values"),
    "a sorted order": (lambda x: x.gather(1, x.argsort(1).argsort(1)), (2,), "returns integers"),
    "half precision": (lambda x: x.half().double(), (2,), "rounds to few digits"),
    "half precision inside a sum": (lambda x: x.sum(1, dtype=torch.bfloat16).double(), (2,), "rounds to few digits"),
    "half precision of a copy": (lambda x: torch.zeros(1, 2).half().copy_(x).double(), (2,), "rounds to few digits"),
    "a softsign that is rounded": (lambda x: torch.div(x, 1 + x.abs(), rounding_mode="floor"), (2,), "divides"),
    "the bits of another type": (lambda x: x.view(torch.float32).double(), (2,), "is not known"),
    "an average with weights below zero": (
        lambda x: F.avg_pool2d(x, 2, padding=1, divisor_override=-1),
        (1, 4, 4),
        "is not known",
    ),
    "a number taken from a tensor": (lambda x: x * x.sum().item(), (2,), "item in the network (Applied) is not known"),
    "a filter that depends on the input": (lambda x: F.conv1d(x, x[:, :, :2]), (1, 4), "multiplies two values"),
    "a weight that depends on the input": (lambda x: F.linear(torch.ones(1, 3).double(), x[0]), (3, 3), "weight"),
    "a variance without ε": (lambda x: F.layer_norm(x, (3,), eps=0.0), (3,), "without an ε"),
    "a threshold that jumps": (lambda x: F.threshold(x, 1.0, 0.0), (2,), "is not known"),
    "a value that is copied into an integer tensor": (
        lambda x: torch.zeros(1, 2, dtype=torch.int64).copy_(x).double(),
        (2,),
        "integers",
    ),
    "a value that is copied into a column": (
        lambda x: torch.zeros(1, 2, dtype=torch.int64).index_fill(1, torch.tensor([0]), 1) * x.round(),
        (2,),
        "is discontinuous",
    ),
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_a_function_that_jumps_or_grows_without_bound_is_named(name: str) -> None:
    function, shape, reason = UNBOUNDED[name]
    found = bound(function, shape)
    assert found.constant == math.inf
    assert any(reason in each for each in found.reasons), found.reasons


@pytest.mark.parametrize("shape", [(3,), (2, 3), (3, 4, 4)])
def test_in_place_operators_are_those_of_their_results(shape: tuple[int, ...]) -> None:
    def function(x: Tensor) -> Tensor:
        doubled = x.clone()
        doubled.mul_(2)
        doubled[:, 0] = 5 * x[:, 1 % x.shape[1]]
        return doubled.relu_()

    found = bound(function, shape)
    assert largest_jacobian(function, shape) <= found.constant * (1 + 1e-12) < 12


def test_a_large_product_is_bounded_by_the_absolute_values_of_its_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipschitz.estimation.upper_bound.linear_rules.MAX_DENSE_ENTRIES", 0)
    found = bound(lambda x: torch.einsum("oi,bij->boj", MATRIX, x), (3, 2))
    # The largest row sum and the largest column sum of |A| are 4.5 and 5.
    assert found.constant == pytest.approx(22.5**0.5)
    assert found.constant > SIGMA
