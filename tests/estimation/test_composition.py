"""The upper bound of a network: values worked out by hand, and parts without a constant, which are named."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import input_shapes
from lipschitz.estimation.upper_bound.composition import UpperBound, upper_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.models.group_sort import GroupSort


def upper(net: nn.Module, shape: tuple[int, ...]) -> UpperBound:
    with float64_copy(net) as twin:
        return upper_bound(twin, shape, layer_bounds(twin, input_shapes(twin, shape)).operators)


def times(*factors: float) -> nn.Linear:
    """Return a diagonal layer; its σ is the largest factor."""
    layer = nn.Linear(len(factors), len(factors))
    layer.weight.data = torch.diag(torch.tensor(factors, dtype=torch.float32))
    return layer


class Function(nn.Module):
    """Applies a function to its input and to layers."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


def inplace(x: Tensor, f: nn.Module) -> Tensor:
    h = f(x)
    return F.silu(h, inplace=True) + h


def hooked() -> nn.Module:
    net = nn.Sequential(times(1, 1))
    net[0].register_forward_hook(lambda module, args, output: 2 * output)
    return net


def alias(x: Tensor, f: nn.Module) -> Tensor:
    h = f(x)
    view = h.view(-1)
    view.mul_(2)
    return h


def augmented(x: Tensor, f: nn.Module) -> Tensor:
    h = f(x)
    before = h
    h += f(x)
    return h + before


CONSTANT = torch.tensor([[1.0, -3.0], [0.5, 2.0]], dtype=torch.float64)
GRID = torch.zeros(1, 2, 2, 2, dtype=torch.float64)
SILU = 1.09984

BY_HAND = {
    "consecutive layers": (nn.Sequential(times(2, 1), nn.ReLU(), times(1, 3)), (2,), 6),
    "a network that is one layer": (times(2, 5), (2,), 5),
    "a network that is one activation": (nn.Sigmoid(), (2,), 1 / 4),
    "skip and branch": (Function(lambda x, f: x + f(x), times(2, 2)), (2,), 3),
    "a branch that is subtracted": (Function(lambda x, f: x - f(x), times(2, 2)), (2,), 3),
    "concatenated parts": (Function(lambda x, f, g: torch.cat([f(x), g(x)], 1), times(3, 1), times(4, 1)), (2,), 5),
    "stacked parts": (Function(lambda x, f, g: torch.stack([f(x), g(x)], 1), times(3, 1), times(4, 1)), (2,), 5),
    "elementwise maximum": (Function(lambda x, f, g: torch.maximum(f(x), g(x)), times(3, 1), times(4, 1)), (2,), 5),
    "one element of a tuple": (Function(lambda x, f: f(x).chunk(2, 1)[0], times(2, 2)), (2,), 2),
    "a layer twice": (Function(lambda x, f: f(f(x)), times(3, 1)), (2,), 9),
    "a product with a number": (Function(lambda x: 3 * x / 2 - 1), (2,), 1.5),
    "a product with a number that float32 would round": (Function(lambda x: 0.1 * x), (2,), 0.1),
    "a product with a constant tensor": (Function(lambda x: x * CONSTANT), (2, 2), 3),
    "a matrix product with a constant matrix": (
        Function(lambda x: x @ CONSTANT),
        (2, 2),
        float(np.linalg.norm(CONSTANT.numpy(), 2)),
    ),
    "a number minus the input": (Function(lambda x: 1 - x), (2,), 1),
    "broadcast by a sum": (Function(lambda x: x.unsqueeze(1) + torch.zeros(3, 1)), (2,), math.sqrt(3)),
    "a mean and a sum": (Function(lambda x: x.mean((2, 3)) + x.sum(dim=(2, 3))), (1, 2, 2), 1 / 2 + 2),
    "functions": (Function(lambda x: F.leaky_relu(F.avg_pool2d(x, 2), 0.2).flatten(1)), (1, 4, 4), 1 / 2),
    "methods": (Function(lambda x: x.view(x.size(0), -1).relu().permute(1, 0).clamp(0, 1)), (1, 2, 2), 1),
    "max pooling with overlap": (Function(lambda x: F.max_pool2d(x, 3, 1)), (1, 5, 5), 3),
    "max pooling along one axis": (nn.MaxPool1d(3, 1), (1, 5), math.sqrt(3)),
    "max pooling along three axes": (nn.MaxPool3d(2, 1), (1, 3, 3, 3), math.sqrt(8)),
    "pooling modules": (nn.Sequential(nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(1), nn.AdaptiveAvgPool2d(1)), (1, 4, 4), 1),
    "sorting": (
        nn.Sequential(GroupSort(), Function(lambda x: x.sort(1).values + x.amax(1, keepdim=True))),
        (2,),
        1 + 2**0.5,
    ),
    "the largest": (Function(lambda x: x.max(dim=1)[0]), (3,), 1),
    "changed in place": (nn.Sequential(times(2, 1), nn.LeakyReLU(3.0, inplace=True)), (2,), 6),
    "used again after a change in place": (Function(inplace, times(1, 1)), (2,), 2 * SILU),
    "only zeros": (Function(lambda x: torch.zeros_like(x) + x.new_zeros(1)), (2,), 0),
    "softmax of a value": (Function(lambda x: torch.softmax(x, dim=1)), (3,), 1 / 2),
    "layer norm": (nn.LayerNorm(3, eps=0.25), (3,), 2),
    "group norm": (nn.GroupNorm(1, 3, eps=0.25), (3, 2), 2),
    "instance norm": (nn.InstanceNorm1d(3, eps=0.25), (3, 2), 2),
    "a hook": (hooked(), (2,), 2),
    "a view that is changed": (Function(alias, times(1, 1)), (2,), 2),
    "an in-place addition to a value that is used again": (Function(augmented, times(1, 1)), (2,), 4),
    "an unknown function times zero": (Function(lambda x: x + torch.zeros(1) * x.exp()), (2,), 1),
    "an unknown function before a zero layer": (Function(lambda x, f: x + f(x.exp()), times(0, 0)), (2,), 1),
    "an unknown function in an unused branch": (Function(lambda x: (x.exp(), x)[1]), (2,), 1),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_constant_worked_out_by_hand(name: str) -> None:
    net, shape, expected = BY_HAND[name]
    found = upper(net, shape)
    assert found.product == pytest.approx(expected, rel=1e-9)
    assert found.constant <= found.product
    assert found.reasons == []


def test_batch_normalisation_has_a_constant_in_eval_mode_with_a_note() -> None:
    norm = nn.BatchNorm2d(2, eps=1.0)
    norm.weight.data = torch.tensor([-3.0, 1.0])
    norm.running_var = torch.tensor([3.0, 0.0])
    found = upper(nn.Sequential(norm), (2, 3, 3))
    assert found.constant == pytest.approx(1.5)
    assert len(found.reasons) == 1
    assert (
        "batch_norm in '0' (BatchNorm2d) has the constant |γ| / √(running variance + ε) in eval mode only"
        in found.reasons[0]
    )


def test_layer_normalisation_is_near_its_bound_where_values_are_equal() -> None:
    torch.manual_seed(0)
    norm = nn.LayerNorm(4, eps=1e-3).double()
    norm.weight.data = torch.tensor([1.0, -2.0, 0.5, 2.0], dtype=torch.float64)
    jacobians = [torch.autograd.functional.jacobian(norm, x) for x in (torch.ones(4).double(), torch.randn(4).double())]
    sigmas = [float(torch.linalg.matrix_norm(jacobian, 2)) for jacobian in jacobians]
    bound = upper(norm, (4,)).constant
    assert sigmas[1] < sigmas[0] <= bound * (1 + 1e-9)
    assert sigmas[0] > bound / 2


def test_a_reparametrised_layer_is_bounded_by_its_effective_weight() -> None:
    net = SpectralNormalization().wrap(nn.Sequential(times(2, 1), nn.ReLU(), times(1, 3)), (2,))
    assert upper(net, (2,)).product == pytest.approx(1, rel=1e-6)


def test_a_reparametrised_custom_module_is_traced() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor([1.0, -2.0]))

        def forward(self, x: Tensor) -> Tensor:
            return self.gain * x

    class Halved(nn.Module):
        def forward(self, gain: Tensor) -> Tensor:
            return gain / 2

    net = Scaled()
    assert upper(net, (2,)).constant == 2
    nn.utils.parametrize.register_parametrization(net, "gain", Halved())
    assert upper(net, (2,)).constant == 1


class Declared(nn.Module):
    lipschitz_constant = 3.0

    def __init__(self, constant: float = 3.0, reason: str | None = None) -> None:
        super().__init__()
        self.lipschitz_constant = constant
        if reason is not None:
            self.lipschitz_reason = reason

    def forward(self, x: Tensor) -> Tensor:
        return x.exp() if x.sum() > 0 else x


def test_a_module_may_declare_its_constant_even_as_the_whole_network() -> None:
    assert upper(nn.Sequential(times(2, 1), Declared()), (2,)) == UpperBound(pytest.approx(6), [], pytest.approx(6))
    assert upper(Declared(), (2,)) == UpperBound(3, [], 3)
    found = upper(nn.Sequential(Declared(math.inf, "it jumps")), (2,))
    assert found == UpperBound(math.inf, ["'0' (Declared) declares a Lipschitz constant of inf: it jumps"])
    assert upper(Declared(2.0, "of the paper's lemma"), (2,)).reasons == [
        "the network (Declared) declares a Lipschitz constant of 2: of the paper's lemma"
    ]
    for nonsense in (-1.0, math.nan):
        assert upper(Declared(nonsense), (2,)).constant == math.inf


class Attention(nn.Module):
    """Self-attention from convolutions and bmm, as in SAGAN."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv1d(2, 2, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.bmm(self.query(x).permute(0, 2, 1), self.key(x))
        return x + torch.bmm(self.value(x), torch.softmax(scores, dim=-1).permute(0, 2, 1))


class MultiHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Loud(nn.ReLU):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).exp()


class Drawing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn(2, dtype=x.dtype)


KIM = "arXiv:2006.04710"
UNBOUNDED = {
    "attention": (nn.Sequential(Attention()), (2, 3), ["bmm in '0' (Attention)", KIM]),
    "multi-head attention": (MultiHead(), (3, 2), ["'attention' (MultiheadAttention)", KIM]),
    "fused attention": (Function(lambda x: F.scaled_dot_product_attention(x, x, x)), (3, 2), [KIM]),
    "a transformer": (nn.TransformerEncoderLayer(2, 1, 4, batch_first=True), (3, 2), [KIM]),
    "a gate": (Function(lambda x: x * torch.tanh(x)), (2,), ["mul in the network (Function) multiplies two values"]),
    "a square": (nn.Sequential(Function(torch.square)), (2,), ["square in '0' (Function) has no Lipschitz constant"]),
    "an unknown function": (
        Function(torch.special.airy_ai),
        (2,),
        ["special_airy_ai in the network (Function) is not"],
    ),
    "an unknown module of torch": (
        Function(lambda x, f: f(x)[0], nn.GRU(2, 2)),
        (3, 2),
        ["gru in 'layers.0' (GRU) is not known"],
    ),
    "a module that cannot be traced": (
        nn.Sequential(times(1, 1), Branching()),
        (2,),
        ["'1' (Branching) cannot be traced"],
    ),
    "a network that cannot be traced": (Branching(), (2,), ["the network (Branching) cannot be traced"]),
    "a subclass with its own forward": (nn.Sequential(Loud()), (2,), ["exp in '0' (Loud) has no Lipschitz constant"]),
    "randomness": (Drawing(), (2,), ["does not return what the network returns"]),
    "statistics of the batch": (nn.BatchNorm1d(2, track_running_stats=False), (2, 2), ["statistics of its batch"]),
    "integers": (Function(lambda x: x.max(1, keepdim=True)[1] * 1.0), (2,), ["returns integers"]),
    "division by a value": (Function(lambda x: 1 / x), (2,), ["divides by a value"]),
    "division by zero": (Function(lambda x: (x / torch.zeros(2)).nan_to_num() + x), (2,), ["nan_to_num"]),
    "a value broadcast by a bound": (Function(lambda x: torch.clamp(x, torch.zeros(3, 2))), (2,), ["clamp in"]),
    "a maximum of broadcast values": (Function(lambda x: torch.max(x, torch.zeros(3, 2))), (2,), ["max in"]),
    "weights at given places": (
        Function(lambda x: F.grid_sample(x, GRID, align_corners=False)),
        (1, 4, 4),
        ["grid_sampler in the network"],
    ),
    "a discontinuous function": (nn.Sequential(nn.Threshold(0.5, 0.0)), (2,), ["'0' (Threshold) is not known"]),
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_a_part_without_a_constant_makes_the_bound_infinite_and_is_named(name: str) -> None:
    net, shape, parts = UNBOUNDED[name]
    found = upper(net, shape)
    assert found.constant == math.inf
    for part in parts:
        assert any(part in reason for reason in found.reasons), found.reasons


def test_every_unknown_part_is_named_once() -> None:
    odd = Function(torch.square)
    reasons = upper(nn.Sequential(odd, times(1, 1), Branching(), odd), (2,)).reasons
    assert [reason.partition(" is")[0].partition(" cannot")[0] for reason in reasons] == [
        "square in '0' (Function) has no Lipschitz constant over all inputs",
        "'2' (Branching)",
        "square in '3' (Function) has no Lipschitz constant over all inputs",
    ]


def test_unused_modules_do_not_count() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = times(2, 1), nn.Conv3d(1, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    assert upper(Partly(), (2,)) == UpperBound(pytest.approx(2), [], pytest.approx(2))
