import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.estimation.gradients import gradient_norms


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
def test_gradients_graph_and_parameters_are_left_alone(enabled: bool) -> None:
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


def test_frozen_parameters_are_no_obstacle() -> None:
    net = nn.Linear(2, 1).requires_grad_(False)
    expected = net.weight.norm().item()
    assert gradient_norms(net, torch.ones(1, 2)).item() == pytest.approx(expected)
