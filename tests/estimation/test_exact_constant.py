import math
from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.exact.constant import exact_constant
from lipschitz.models.group_sort import GroupSort
from lipschitz.models.householder import Householder


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2, 6), nn.Linear(6, 6), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first(x))
        return self.last(h + 0.5 * F.leaky_relu(self.second(h), 0.2)).squeeze(-1)


def perceptron(sizes: list[int], seed: int = 0, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers[:-1]).double().eval().requires_grad_(False)


def steepest(net: nn.Module, points: Tensor) -> float:
    points = points.double().requires_grad_()
    outputs = net(points).reshape(len(points), -1)
    columns = [torch.autograd.grad(outputs[:, k].sum(), points, retain_graph=True)[0] for k in range(outputs.shape[1])]
    return float(torch.linalg.matrix_norm(torch.stack(columns, dim=1), 2).max())


def scattered(inputs: int, n: int = 20_000) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.cat([scale * torch.randn(n, inputs, generator=rng) for scale in (0.1, 1, 10, 1000)])


def by_linear_programs(net: nn.Sequential) -> tuple[float, int]:
    """Largest slope, and number of the activation patterns of a ReLU network with two hidden layers that exist."""
    (w1, b1), (w2, b2), (w3, _) = ((layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in net[::2])  # type: ignore[union-attr, operator]
    found = []
    for first in product([0.0, 1.0], repeat=len(b1)):
        w, b = w2 @ (np.array(first)[:, None] * w1), w2 @ (np.array(first) * b1) + b2
        for second in product([0.0, 1.0], repeat=len(b2)):
            rows, bounds = np.concatenate([w1, w]), np.concatenate([b1, b])
            signs = 2 * np.array([*first, *second]) - 1
            # Maximise the margin t by which all signs hold.
            rows, bounds = -signs[:, None] * rows, signs * bounds
            program = linprog(
                [*[0] * w1.shape[1], -1],
                np.c_[rows, np.ones(len(rows))],
                bounds,
                bounds=[*[(None, None)] * w1.shape[1], (None, 1)],
            )
            if program.x[-1] > 1e-9:
                found.append(np.linalg.norm(w3 @ (np.array(second)[:, None] * w), 2))
    return float(max(found)), len(found)


@pytest.mark.parametrize(("inputs", "seed"), [(1, 0), (2, 1), (2, 2)])
def test_it_is_the_largest_slope_of_all_activation_patterns_that_exist(inputs: int, seed: int) -> None:
    net = perceptron([inputs, 4, 3, 2], seed)
    slope, patterns = by_linear_programs(net)
    exact = exact_constant(net, (inputs,), prune=False)
    assert exact.constant == pytest.approx(slope, rel=1e-12)
    assert exact.cells >= patterns
    assert exact_constant(net, (inputs,)).constant == exact.constant


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu in place": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "prelu": lambda: nn.PReLU(6),
    "rrelu": nn.RReLU,
    "abs": lambda: Function(torch.abs),
    "hardtanh": lambda: nn.Hardtanh(-0.5, 0.7),
    "relu6": nn.ReLU6,
    "softshrink": lambda: nn.Softshrink(0.1),
    "clamp": lambda: Function(lambda x: x.clamp(-0.3, 0.4)),
    "clamp_min": lambda: Function(lambda x: x.clamp(min=-0.3)),
    "clamp_max": lambda: Function(lambda x: torch.clamp_max(x, 0.2)),
    "group_sort": GroupSort,
    "groups of three": lambda: GroupSort(3),
    "full_sort": lambda: GroupSort(None),
    "householder": lambda: Householder(6),
    "descending": lambda: Function(lambda x: x.sort(1, descending=True)[0]),
    "maxmin": lambda: Function(lambda x: torch.cat([torch.maximum(*x.chunk(2, 1)), torch.minimum(*x.chunk(2, 1))], 1)),
    "maxout": lambda: Function(lambda x: x.view(len(x), -1, 2).max(-1).values.repeat(1, 2)),
    "batch norm and dropout": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(), nn.Identity()),
}


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_point_is_steeper_and_some_are_as_steep(name: str, inputs: int) -> None:
    net = perceptron([inputs, 6, 6, 2], 0, ACTIVATIONS[name])
    exact = exact_constant(net, (inputs,))
    assert exact.reason == ""
    assert 0.9 * exact.constant < steepest(net, scattered(inputs)) <= exact.constant * (1 + 1e-12)
    assert exact_constant(net, (inputs,), prune=False).constant == pytest.approx(exact.constant, rel=1e-12)


def test_skip_connections_are_followed() -> None:
    torch.manual_seed(0)
    net = Residual().double()
    assert exact_constant(net, (2,)).constant == pytest.approx(steepest(net, scattered(2)), rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 2),
    st.lists(st.integers(1, 12), min_size=0, max_size=3),
    st.integers(1, 3),
    st.sampled_from([1e-6, 0.1, 1.0, 1e5]),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_it_lies_between_every_slope_and_the_product_of_the_layers(
    seed: int, inputs: int, hidden: list[int], outputs: int, scale: float, kept: float
) -> None:
    net = perceptron([inputs, *hidden, outputs], seed)
    rng = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        # Zero weights, and zero biases so that kinks meet in one point.
        parameter.data *= scale * (torch.rand(parameter.shape, generator=rng) <= kept)
    exact = exact_constant(net, (inputs,)).constant
    assert exact == pytest.approx(exact_constant(net, (inputs,), prune=False).constant, rel=1e-11)
    upper = math.prod(float(torch.linalg.matrix_norm(layer.weight, 2)) for layer in net if isinstance(layer, nn.Linear))
    assert steepest(net, scattered(inputs, 500)) <= exact * (1 + 1e-9)
    assert exact <= upper * (1 + 1e-9)


def test_n_lines_in_general_position_cut_the_plane_into_the_known_number_of_regions() -> None:
    n = 40 + 2  # the two axes are cut as well
    assert exact_constant(perceptron([2, 40, 1]), (2,), prune=False).cells == 1 + n + n * (n - 1) // 2
    # The line is cut by its kinks and at zero.
    assert exact_constant(perceptron([1, 40, 1]), (1,), prune=False).cells == 42


def test_slopes_far_outside_all_data_count() -> None:
    net = Function(lambda x: 5 * torch.relu(x[:, :1] - 1e4) + torch.relu(x[:, 1:]))
    assert exact_constant(net, (2,)).constant == pytest.approx(math.sqrt(26), rel=1e-12)


def test_lines_through_one_point_leave_no_sliver() -> None:
    rng = np.random.default_rng(0)
    weight, centre, output = rng.standard_normal((30, 2)), np.array([0.3, 0.7]), rng.standard_normal(30)
    net = nn.Sequential(nn.Linear(2, 30), nn.ReLU(), nn.Linear(30, 1)).double()
    net[0].weight.data, net[0].bias.data = torch.from_numpy(weight), torch.from_numpy(-weight @ centre)
    net[2].weight.data = torch.from_numpy(output[None])
    angles = torch.linspace(0, 2 * math.pi, 100_001)
    around = torch.stack([angles.cos(), angles.sin()], dim=1) + torch.from_numpy(centre)
    assert exact_constant(net, (2,)).constant == pytest.approx(steepest(net, around), rel=1e-9)


def test_equal_dead_and_vanishing_neurons_do_no_harm() -> None:
    net = perceptron([2, 6, 4, 1])
    plain = exact_constant(net, (2,)).constant
    first, second, last = net[0], net[2], net[4]
    for layer in (first, second):
        layer.weight.data = torch.cat([layer.weight.data] * 2 + [0 * layer.weight.data])
        layer.bias.data = torch.cat([layer.bias.data] * 2 + [-layer.bias.data.abs()])
    # Each neuron twice with half its weight, and neurons that are zero everywhere.
    second.weight.data = torch.cat([second.weight.data / 2] * 2 + [torch.ones_like(second.weight.data)], dim=1)
    last.weight.data = torch.cat([last.weight.data / 2] * 2 + [torch.ones_like(last.weight.data)], dim=1)
    assert exact_constant(net, (2,)).constant == pytest.approx(plain, rel=1e-9)


def test_networks_without_kinks_or_without_slope() -> None:
    affine = nn.Sequential(nn.Flatten(), nn.Linear(2, 3)).double().requires_grad_(False)
    sigma = float(torch.linalg.matrix_norm(affine[1].weight, 2))
    assert exact_constant(affine, (1, 1, 2)).constant == pytest.approx(sigma, rel=1e-12)
    net = perceptron([2, 5, 5, 1])
    for parameter in net.parameters():
        parameter.data.zero_()
    assert exact_constant(net, (2,)).constant == 0.0


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (torch.tanh, "not piecewise linear: it uses torch's tanh"),
        (lambda x: x * x, "not piecewise linear: it uses torch's mul"),
        (lambda x: x / (1 + x.abs()), "not piecewise linear: it uses torch's div"),
        (lambda x: F.layer_norm(x, (2,)), "not piecewise linear: it uses torch's layer_norm"),
        (lambda x: x if x.sum() > 0 else -x, "not piecewise linear: it uses torch's gt"),
        (lambda x: x.detach().numpy(), "not piecewise linear: it uses torch's numpy"),
        (lambda x: x - x.mean(0), "its affine maps, as read off a forward pass, do not give its outputs"),
        (lambda x: F.dropout(x), "its affine maps, as read off a forward pass, do not give its outputs"),
        (lambda x: x.to(torch.float32) * 1.1, "its affine maps, as read off a forward pass, do not give its outputs"),
        (lambda x: x + 4 * x.detach().relu(), "automatic differentiation does not give its slopes"),
        (lambda x: x.relu().sum(), "it does not return one tensor with a row for each sample"),
        (lambda x: x.repeat(1, 600).relu(), "it has 1200 neurons and comparisons of channels; allowed: at most 1024"),
    ],
)
def test_other_networks_are_refused_with_a_reason(function: Callable[[Tensor], Tensor], reason: str) -> None:
    exact = exact_constant(Function(function), (2,))
    assert math.isnan(exact.constant)
    assert exact.reason == reason


def test_more_inputs_or_polygons_than_allowed_are_refused() -> None:
    assert exact_constant(perceptron([3, 4, 1]), (3,)).reason == "it is computed for one or two inputs, got 3"
    exact = exact_constant(perceptron([2, 40, 1]), (2,), max_cells=500)
    assert math.isnan(exact.constant)
    assert exact.reason == "more than 500 polygons"


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return 10 * gradient


def test_a_custom_function_is_refused() -> None:
    assert exact_constant(Function(WrongGradient.apply), (2,)).reason != ""


def test_a_change_in_place_that_automatic_differentiation_refuses_is_a_reason() -> None:
    exact = exact_constant(Function(lambda x: torch.relu_(x * 2).mul_(3)), (2,))
    assert exact.reason.startswith("automatic differentiation fails: ")
