"""Semidefinite bounds of chains: against the papers' formulas, other implementations, slopes found, and exact norms."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis
from lipschitz.estimation.upper_bound.semidefinite import certificate, ellipsoids
from lipschitz.estimation.upper_bound.semidefinite.certificate import Multipliers, chain_bound, search_multipliers
from lipschitz.estimation.upper_bound.semidefinite.layout import Layout
from lipschitz.estimation.upper_bound.semidefinite.normal_form import normal_form
from lipschitz.estimation.upper_bound.semidefinite.steps import (
    ChannelScale,
    Convolution,
    Matrix,
    Slopes,
    SpatialSum,
    Step,
)

RELU, LEAKY = Slopes(0.0, 1.0), Slopes(0.1, 1.0)


def perceptron(sizes: list[int], seed: int = 0, slopes: Slopes = RELU) -> list[Step]:
    rng = torch.Generator().manual_seed(seed)
    steps: list[Step] = []
    for inputs, outputs in pairwise(sizes):
        weight = torch.randn(outputs, inputs, generator=rng, dtype=torch.float64)
        steps += [Matrix(weight * math.sqrt(2 / inputs)), slopes]
    return steps[:-1]


def weights(steps: list[Step]) -> list[Tensor]:
    return [step.weight for step in steps if isinstance(step, Matrix)]


def closed_form(layout: Layout) -> float:
    """The bound with rho = 2 and D = I."""
    sizes = [channels * places for channels, places in layout.activations]
    zeros = [torch.zeros(size, dtype=torch.float64) for size in sizes]
    gaps = [torch.zeros((), dtype=torch.float64) for _ in sizes]
    return math.sqrt(float(Multipliers(gaps, zeros).square(layout)))


def test_the_closed_form_is_that_of_eclipse_fast() -> None:
    # Xu and Sivaranjani 2024: X = I; per layer A = W X^-1 W^T, lambda = 2 / ||A||, X <- lambda I - lambda^2 A / 4.
    steps = perceptron([3, 10, 12, 8, 2])
    *hidden, last = (weight.numpy() for weight in weights(steps))
    x = np.eye(3)
    for weight in hidden:
        a = weight @ np.linalg.inv(x) @ weight.T
        scale = 2 / np.linalg.norm(a, 2)
        x = scale * np.eye(len(a)) - scale**2 * a / 4
    expected = math.sqrt(np.linalg.norm(last @ np.linalg.inv(x) @ last.T, 2))
    assert closed_form(Layout(steps, (3,), 0)) == pytest.approx(expected, rel=1e-9)


def test_the_closed_form_is_that_of_the_package_eclipse_nn() -> None:
    package = pytest.importorskip("eclipse_nn.eclipsE_fast")
    steps = perceptron([5, 20, 30, 1], seed=1)
    expected = float(package.ECLipsE_Fast(weights(steps), [0.0, 0.0], [1.0, 1.0]))
    assert closed_form(Layout(steps, (5,), 0)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("slopes", [RELU, LEAKY, Slopes(-0.2, 1.1)])
def test_the_search_comes_close_to_the_solution_of_the_semidefinite_program(slopes: Slopes) -> None:
    cvxpy = pytest.importorskip("cvxpy")
    steps = perceptron([2, 6, 5, 1], seed=2, slopes=slopes)
    first, second, last = (weight.numpy() for weight in weights(steps))
    # Fazlyab et al. 2019, Theorem 2, with one multiplier a neuron.
    p, m = slopes.low * slopes.high, (slopes.low + slopes.high) / 2
    multipliers, squared = cvxpy.Variable(11, nonneg=True), cvxpy.Variable()
    top = cvxpy.diag(multipliers)
    w = np.zeros((11, 13))
    w[:6, :2], w[6:, 2:8] = first, second
    b = np.hstack([np.zeros((11, 2)), np.eye(11)])
    output = np.hstack([np.zeros((1, 8)), last])
    lmi = -2 * p * w.T @ top @ w + 2 * m * (w.T @ top @ b + b.T @ top @ w) - 2 * b.T @ top @ b + output.T @ output
    corner = np.zeros((13, 13))
    corner[:2, :2] = np.eye(2)
    problem = cvxpy.Problem(cvxpy.Minimize(squared), [lmi - squared * corner << 0])
    problem.solve(solver="CLARABEL")
    optimum = math.sqrt(squared.value)
    bound = chain_bound(steps, (2,))
    assert optimum * (1 - 1e-5) <= bound <= optimum * 1.02


@given(st.integers(0, 10**6), st.sampled_from([RELU, LEAKY, Slopes(-1.0, 1.0), Slopes(0.0, 0.25), Slopes(-0.1, 1.1)]))
@settings(max_examples=25, deadline=None)
def test_no_pattern_of_slopes_is_steeper_than_the_bound(seed: int, slopes: Slopes) -> None:
    rng = np.random.default_rng(seed)
    steps = perceptron([int(n) for n in rng.integers(1, 9, size=int(rng.integers(3, 6)))], seed, slopes)
    bound = chain_bound(steps, (weights(steps)[0].shape[1],))
    steepest = 0.0
    for _ in range(50):
        jacobian = np.eye(weights(steps)[0].shape[1])
        for step in steps:
            if isinstance(step, Matrix):
                jacobian = step.weight.numpy() @ jacobian
            else:
                ends = rng.choice([slopes.low, slopes.high], size=len(jacobian))
                jacobian = (
                    np.where(rng.random(len(jacobian)) < 0.3, rng.uniform(*ends[:1], slopes.high), ends)[:, None]
                    * jacobian
                )
        steepest = max(steepest, np.linalg.norm(jacobian, 2))
    assert steepest <= bound


def convolutions(rng: np.random.Generator, axes: int) -> tuple[list[Step], tuple[int, ...]]:
    """Return random convolutions with activations between them, and the shape of the input."""
    sizes = [int(n) for n in rng.integers(3, 8, size=axes)]
    channels = int(rng.integers(1, 4))
    shape = (channels, *sizes)
    steps: list[Step] = []
    for _ in range(int(rng.integers(1, 4))):
        kernel, padding, dilation = int(rng.integers(1, 4)), int(rng.integers(0, 3)), int(rng.integers(1, 3))
        reach = dilation * (kernel - 1)
        if min(sizes) + 2 * padding <= reach:
            continue
        stride = int(rng.integers(1, 3))
        outputs = [(size + 2 * padding - reach - 1) // stride + 1 for size in sizes]
        found = tuple(
            ConvolutionAxis(n, m, kernel, stride, padding, dilation) for n, m in zip(sizes, outputs, strict=True)
        )
        width = int(rng.integers(1, 5))
        weight = torch.from_numpy(rng.normal(size=(width, channels, *[kernel] * axes)))
        steps += [Convolution(weight, found), LEAKY]
        channels, sizes = width, outputs
    return steps[:-1], shape


@given(st.integers(0, 10**6), st.sampled_from([1, 2]))
@settings(max_examples=40, deadline=None)
def test_a_bound_on_the_torus_holds_for_every_pattern_of_slopes_with_zero_padding(seed: int, axes: int) -> None:
    rng = np.random.default_rng(seed)
    steps, shape = convolutions(rng, axes)
    if not steps:
        return
    torus = Layout(steps, shape, len(steps))
    multipliers = search_multipliers(torus, 3)
    bound = math.sqrt(float(multipliers.square(torus)))
    matrices = [step.matrix().numpy() for step in steps if isinstance(step, Convolution)]
    exact = np.linalg.norm(matrices[0], 2)
    assert len(matrices) > 1 or exact <= bound
    for _ in range(20):
        jacobian = matrices[0]
        for matrix in matrices[1:]:
            jacobian = matrix @ (rng.choice([0.1, 1.0], size=len(jacobian))[:, None] * jacobian)
        assert np.linalg.norm(jacobian, 2) <= bound


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_frequencies_give_what_the_dense_recursion_on_the_torus_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    torus = int(rng.integers(1, 4))
    strides = [int(s) for s in rng.integers(1, 3, size=3)]
    sizes = [torus * math.prod(strides[k:]) for k in range(4)]
    channels = [int(c) for c in rng.integers(1, 4, size=4)]
    steps: list[Step] = []
    dense: list[Step] = []
    for k, stride in enumerate(strides):
        kernel = int(rng.integers(1, 4))
        weight = torch.from_numpy(rng.normal(size=(channels[k + 1], channels[k], kernel)))
        steps += [Convolution(weight, (ConvolutionAxis(sizes[k], sizes[k + 1], kernel, stride),)), RELU]
        circulant = np.zeros((channels[k + 1], sizes[k + 1], channels[k], sizes[k]))
        for i in range(sizes[k + 1]):
            for j in range(kernel):
                circulant[:, i, :, (i * stride + j) % sizes[k]] += weight[:, :, j].numpy()
        rows = channels[k + 1] * sizes[k + 1]
        dense += [Matrix(torch.from_numpy(circulant.reshape(rows, -1))), RELU]
    steps, dense = steps[:-1], dense[:-1]
    layout = Layout(steps, (channels[0], sizes[0]), len(steps))
    layout.__dict__["_sizes"] = (torus,)
    gaps = [torch.tensor(float(g), dtype=torch.float64) for g in rng.normal(size=2)]
    scales = [torch.from_numpy(rng.normal(size=c)) for c in channels[1:3]]
    repeated = [scale.repeat_interleave(size) for scale, size in zip(scales, sizes[1:3], strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        # So many that the largest eigenvalues are exact.
        patch.setattr(ellipsoids, "KRYLOV_STEPS", 100)
        found = layout.square(gaps, scales)
        expected = Layout(dense, (channels[0] * sizes[0],), 0).square(gaps, repeated)
    assert float(found) == pytest.approx(float(expected), rel=1e-10)


def test_writing_a_small_map_out_as_a_vector_is_tighter_and_still_holds() -> None:
    rng = np.random.default_rng(3)
    steps: list[Step] = []
    for inputs, outputs in ((2, 4), (4, 4), (4, 4)):
        weight = torch.from_numpy(rng.normal(size=(outputs, inputs, 3, 3)))
        steps += [Convolution(weight, (ConvolutionAxis(5, 5, 3, padding=1),) * 2), LEAKY]
    steps.append(Matrix(torch.from_numpy(rng.normal(size=(1, 100)))))
    bounds = []
    for on_torus in (7, 3, 0):
        layout = Layout(steps, (2, 5, 5), on_torus)
        bounds.append(math.sqrt(float(search_multipliers(layout, 30).square(layout))))
    assert bounds[0] > bounds[1] > bounds[2]
    jacobian = np.eye(50)
    for step in steps[:-1]:
        if isinstance(step, Convolution):
            jacobian = step.matrix().numpy() @ jacobian
    assert bounds[2] > np.linalg.norm(steps[-1].weight.numpy() @ jacobian, 2)


def test_normal_form() -> None:
    scale, weight = ChannelScale(torch.tensor([2.0, 3.0]).double()), torch.ones(4, 2, 1, 1).double()
    axes = (ConvolutionAxis(3, 3, 1),) * 2
    steps = [
        Slopes(0.0, 0.5),
        scale,
        Convolution(weight, axes),
        RELU,
        Slopes(-2.0, 1.0),
        SpatialSum(),
        Slopes(2.0, 2.0),
    ]
    factor, chain = normal_form(steps, (2, 3, 3))
    # 0.5 of the first activation, 2 of the last, and 3, the largest weight.
    assert factor == 3.0
    convolution, slopes, total = chain
    assert isinstance(convolution, Convolution)
    assert convolution.weight[:, :, 0, 0].tolist() == [[2 / 3, 1.0]] * 4
    assert slopes == Slopes(-2.0, 1.0)
    assert isinstance(total, SpatialSum)


@pytest.mark.parametrize("place", range(5))
def test_a_scale_of_channels_may_stand_anywhere(place: int) -> None:
    rng = torch.Generator().manual_seed(0)
    axes = (ConvolutionAxis(4, 4, 3, padding=1),) * 2
    first = Convolution(torch.randn(4, 4, 3, 3, generator=rng).double(), axes)
    second = Convolution(torch.randn(4, 2, 3, 3, generator=rng).double(), axes, groups=2)
    chain: list[Step] = [first, RELU, second, SpatialSum(0.1)]
    factors = torch.tensor([1.0, 0.5, -2.0, 3.0]).double()
    one = torch.ones(4).double()
    scaled = [*chain[:place], ChannelScale(factors), *chain[place:]]
    twice = [*chain[:place], ChannelScale(2 * one), *chain[place:]]
    plain = chain_bound(chain, (4, 4, 4))
    assert chain_bound(twice, (4, 4, 4)) == pytest.approx(2 * plain, rel=0.05)
    assert chain_bound(scaled, (4, 4, 4)) <= 3 * plain * 1.05


def test_a_chain_that_costs_too_much_has_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "FINAL_FLOPS", 1e3)
    assert chain_bound(perceptron([3, 50, 50, 1]), (3,)) == math.inf


def test_zero_weights_give_next_to_zero() -> None:
    steps = perceptron([3, 4, 4, 1])
    steps[2] = Matrix(torch.zeros(4, 4, dtype=torch.float64))
    assert chain_bound(steps, (3,)) == 0


def test_the_result_repeats_bit_for_bit() -> None:
    steps = perceptron([3, 30, 30, 1])
    assert chain_bound(steps, (3,)) == chain_bound(steps, (3,))


def test_convolutions_as_matrices() -> None:
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 1, 3, generator=rng, dtype=torch.float64)
    step = Convolution(weight, (ConvolutionAxis(7, 3, 3, stride=2, padding=1, dilation=2),), groups=2)
    x = torch.randn(5, 2, 7, generator=rng, dtype=torch.float64)
    expected = F.conv1d(x, weight, stride=2, padding=1, dilation=2, groups=2)[:, :, :3]
    assert torch.allclose(x.flatten(1) @ step.matrix().T, expected.flatten(1))
    full = Convolution(step.full_weight(), step.axes)
    assert torch.allclose(full.matrix(), step.matrix())


@pytest.mark.parametrize("size", [1e-40, 1e40])
def test_weights_of_any_size(size: float) -> None:
    steps = perceptron([3, 8, 8, 1])
    scaled = [Matrix(step.weight * size) if isinstance(step, Matrix) else step for step in steps]
    assert chain_bound(scaled, (3,)) == pytest.approx(chain_bound(steps, (3,)) * size**3, rel=1e-3)


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_map_is_read_and_cropped_in_the_right_direction(seed: int) -> None:
    # Without activations the bound on the torus is at least the exact norm; a reversed map has another one.
    rng = np.random.default_rng(seed)
    size, channels = int(rng.integers(3, 7)), [int(c) for c in rng.integers(1, 4, size=3)]
    steps: list[Step] = []
    for inputs, outputs in pairwise(channels):
        weight = torch.from_numpy(rng.normal(size=(outputs, inputs, 3)))
        steps.append(
            Convolution(weight, (ConvolutionAxis(size, size - 2 if steps else size, 3, padding=0 if steps else 1),))
        )
    rows = int(rng.integers(1, 3))
    steps.append(Matrix(torch.from_numpy(rng.normal(size=(rows, channels[2] * (size - 2))))))
    jacobian = steps[2].weight.numpy() @ steps[1].matrix().numpy() @ steps[0].matrix().numpy()
    exact = np.linalg.norm(jacobian, 2)
    for on_torus in (3, 2, 1, 0):
        layout = Layout(steps, (channels[0], size), on_torus)
        bound = math.sqrt(float(layout.square([], [])))
        assert bound >= exact * (1 - 1e-12)
    assert bound == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("norm", [False, True])
def test_convolutions_without_an_activation_between(norm: bool) -> None:
    torch.manual_seed(0)
    between = [nn.BatchNorm2d(8)] if norm else []
    body = [nn.Conv2d(1, 8, 3, padding=1), *between, nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten()]
    net = nn.Sequential(*body, nn.Linear(8 * 144, 1)).double().eval()
    found = upper_bound(net, (1, 12, 12))
    assert 0 < found.constant <= found.product < math.inf
    read = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Flatten(), nn.Linear(16 * 256, 1)).double().eval()
    linear = read[2].weight.detach() @ torch.autograd.functional.jacobian(
        lambda x: read[0](x.view(1, 3, 16, 16)).flatten(), torch.zeros(768, dtype=torch.float64)
    )
    exact = float(torch.linalg.matrix_norm(linear, 2))
    assert exact <= upper_bound(read, (3, 16, 16)).constant <= 1.2 * exact


def test_a_relaxation_that_fails_leaves_the_product() -> None:
    small = torch.eye(3, dtype=torch.float64)
    small[0, 0] = 1e-200
    large = torch.diag(torch.tensor([1e200, 0.0, 0.0], dtype=torch.float64))
    assert chain_bound([Matrix(small), RELU, Matrix(large)], (3,)) >= 1
