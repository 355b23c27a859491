"""Input-gradient norms and Jacobian norms against closed forms and NumPy's SVD."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.estimation.lower_bound.gradient_norms import Network, input_gradients, jacobian_norms, sample_norms


def gradient_norms(net: Network, points: Tensor) -> Tensor:
    return sample_norms(input_gradients(net, points, batch=2))


def test_a_linear_network_has_the_norm_of_its_weight_everywhere() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Linear(5, 1)).double()
    product = net[2].weight.detach().numpy() @ net[1].weight.detach().numpy()
    norms = gradient_norms(net, torch.randn(4, 3, 2, 2, dtype=torch.float64))
    assert_allclose(norms, np.full(4, np.linalg.norm(product)), rtol=1e-12)


def test_norms_are_per_sample() -> None:
    class HalfSquare(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).square().sum(dim=1, keepdim=True) / 2

    points = torch.tensor([[[3.0, 4.0]], [[0.0, 0.0]], [[5.0, 12.0]]])
    assert gradient_norms(HalfSquare(), points).tolist() == [5, 0, 13]


@pytest.mark.parametrize("enabled", [True, False])
def test_gradients_graph_and_parameters_are_unchanged(enabled: bool) -> None:
    net = nn.Linear(2, 1)
    net(torch.ones(1, 2)).backward()
    assert net.weight.grad is not None
    before = net.weight.grad.clone()
    points = torch.ones(3, 2, requires_grad=True)
    with torch.set_grad_enabled(enabled):
        norms = gradient_norms(net, points)
    assert not norms.requires_grad
    assert points.grad is None
    assert torch.equal(net.weight.grad, before)


def test_frozen_parameters() -> None:
    net = nn.Linear(2, 1).requires_grad_(False)
    expected = net.weight.norm().item()
    assert gradient_norms(net, torch.ones(1, 2)).item() == pytest.approx(expected)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_with_one_output_it_is_the_gradient() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)).double()
    weight = net[1].weight.detach()
    found = jacobian_norms(net, torch.zeros(3, 2, 2, dtype=torch.float64), rng())
    assert_allclose(found.norms, np.full(3, weight.norm()), rtol=1e-12)
    assert_allclose(found.directions.flatten(1), (weight / weight.norm()).expand(3, -1), rtol=1e-12)


def test_with_several_outputs_it_is_the_leading_singular_vector_of_the_jacobian() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    points = torch.randn(5, 4, dtype=torch.float64)
    found = jacobian_norms(net, points, rng())
    for point, norm, direction in zip(points, found.norms, found.directions, strict=True):
        _, sigmas, right = np.linalg.svd(torch.autograd.functional.jacobian(net, point).detach().numpy())
        assert float(norm) <= sigmas[0] * (1 + 1e-12)
        assert float(norm) == pytest.approx(sigmas[0], rel=1e-3)
        assert abs(direction.numpy() @ right[0]) == pytest.approx(1, rel=1e-2)


def test_batches_bound_the_memory_and_do_not_change_the_norms() -> None:
    sizes = []

    def net(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x.square()

    points = torch.arange(10.0, dtype=torch.float64).view(5, 2)
    found = jacobian_norms(net, points, rng(), batch=2)
    assert max(sizes) == 2
    assert_allclose(found.norms, 2 * points[:, 1], rtol=1e-3)


def test_a_network_that_is_differentiable_once_only() -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return 3 * gradient

    found = jacobian_norms(Once.apply, torch.ones(2, 4, dtype=torch.float64), rng())
    assert_allclose(found.norms, 3, rtol=1e-12)
    points = torch.randn(3, 4, dtype=torch.float64, generator=rng())
    near = torch.zeros(1, 4, dtype=torch.float64)
    distances = jacobian_norms(lambda x: torch.cdist(x, near.expand(2, 4)), points, rng())
    assert_allclose(distances.norms, 2**0.5, rtol=1e-6)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 1, 1)])
def test_outputs_without_an_axis_of_their_own(shape: tuple[int, ...]) -> None:
    points = torch.randn(3, 2, dtype=torch.float64, generator=rng())
    assert_allclose(jacobian_norms(lambda x: (3 * x[:, 0]).view(shape), points, rng()).norms, 3, rtol=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_constant_network_has_norm_and_direction_zero(outputs: int) -> None:
    found = jacobian_norms(lambda x: x.new_ones(len(x), outputs) + 0 * x.sum(1, keepdim=True), torch.ones(2, 4), rng())
    assert found.norms.tolist() == [0, 0]
    assert not found.directions.any()


def test_a_nan_gradient_counts_as_zero() -> None:
    found = jacobian_norms(lambda x: x.sqrt().sum(1, keepdim=True), torch.tensor([[-1.0, 4.0]]), rng())
    assert found.norms.tolist() == [0.25]


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_network_may_change_its_input_in_place(outputs: int) -> None:
    points = -torch.ones(2, 3)
    net = nn.Sequential(nn.LeakyReLU(0.5, inplace=True), nn.Linear(3, outputs))
    sigma = float(torch.linalg.matrix_norm(net[1].weight.detach(), 2))
    assert jacobian_norms(net, points, rng()).norms.tolist() == pytest.approx([0.5 * sigma] * 2, rel=1e-4)
    if outputs == 1:
        assert gradient_norms(net, points).tolist() == pytest.approx([0.5 * sigma] * 2)
    assert torch.equal(points, -torch.ones(2, 3))
