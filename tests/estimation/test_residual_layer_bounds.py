"""Upper bounds of residual layers x -> a x + s Wᵀ act(W x + b)."""

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.base import constrain
from lipschitz.constraints.cpl import CPL
from lipschitz.constraints.sll import SLL
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP


class Residual(nn.Module):
    """a x + s Vᵀ leaky_relu(W x + b), with V = W unless another one is given."""

    def __init__(self, weight: Tensor, a: float, s: float, slope: float, other: Tensor | None = None) -> None:
        super().__init__()
        self.weight, self.a, self.s, self.slope = nn.Parameter(weight), a, s, slope
        self.other = nn.Parameter(weight if other is None else other)

    def forward(self, x: Tensor) -> Tensor:
        return self.a * x + self.s * F.leaky_relu(F.linear(x, self.weight) - 1, self.slope) @ self.other


def largest_jacobian(net: Residual) -> float:
    """Return the largest norm over all patterns of slopes."""
    weight, identity = net.weight.detach(), torch.eye(net.weight.shape[1]).double()
    norms = []
    for pattern in itertools.product((net.slope, 1.0), repeat=len(weight)):
        slopes = torch.tensor(pattern, dtype=torch.float64)
        jacobian = net.a * identity + net.s * weight.mT @ (slopes[:, None] * weight)
        norms.append(float(torch.linalg.matrix_norm(jacobian, 2)))
    return max(norms)


@pytest.mark.parametrize(("a", "s"), [(1.0, -2.0), (1.0, 2.0), (-0.5, -0.1), (3.0, -1.0)])
@pytest.mark.parametrize("slope", [0.0, 0.2, -0.3, 2.0])
def test_the_bound_holds_for_all_slopes_and_is_met(a: float, s: float, slope: float) -> None:
    weight = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 3
    net = Residual(weight, a, s, slope)
    bound = upper_bound(net, (5,), flops=0).constant
    squared = float(torch.linalg.matrix_norm(weight, 2)) ** 2
    low, high = min(slope, 1.0, 0.0) * squared, max(slope, 1.0) * squared
    assert bound == pytest.approx(max(abs(a + s * low), abs(a + s * high)), rel=1e-9)
    # The pattern with all slopes equal reaches the end where W is largest.
    assert largest_jacobian(net) <= bound * (1 + 1e-12)
    if slope >= 0:
        assert largest_jacobian(net) >= 0.7 * bound


def test_another_second_matrix_has_the_bound_of_a_sum() -> None:
    weight = torch.diag(torch.tensor([1.0, 0.5], dtype=torch.float64))
    assert upper_bound(Residual(weight, 1.0, -2.0, 0.0), (2,), flops=0).constant == pytest.approx(1.0)
    nearly = weight + torch.tensor([[0.0, 1e-6], [0.0, 0.0]], dtype=torch.float64)
    bound = upper_bound(Residual(weight, 1.0, -2.0, 0.0, nearly), (2,), flops=0).constant
    assert bound == pytest.approx(3.0, rel=1e-5)
    # A multiple of the adjoint is one, too: x - 2 (3 W)ᵀ act(W x) has slopes in [1 - 6, 1].
    assert upper_bound(Residual(weight, 1.0, -2.0, 0.0, 3 * weight), (2,), flops=0).constant == pytest.approx(5.0)


def test_another_input_has_the_bound_of_a_sum() -> None:
    class Crossed(Residual):
        def forward(self, x: Tensor) -> Tensor:
            return x.flip(1) - 2 * F.relu(F.linear(x, self.weight)) @ self.weight

    bound = upper_bound(Crossed(torch.eye(2).double(), 1.0, -2.0, 0.0), (2,), flops=0).constant
    assert bound == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("method", "model", "shape", "layers"),
    [
        (CPL(coefficient=2.0), MLP(width=8, depth=2), (2,), 3),
        (SLL(), MLP(width=8, depth=2), (2,), 3),
        (SLL(), DCGAN(width=2), (1, 8, 8), 8),
    ],
    ids=str,
)
def test_certified_residual_layers_keep_their_constant(
    method: CPL | SLL, model: MLP | DCGAN, shape: tuple[int, ...], layers: int
) -> None:
    # Without the rule a residual layer counts up to c + 2 c.
    net = constrain(model.build_discriminator(shape), [method], shape).double().eval()
    promised = method.coefficient**layers
    assert 0.5 * promised < upper_bound(net, shape, flops=0).product <= promised * (1 + 1e-9)
