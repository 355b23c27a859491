"""σ of all layers computed before the forward pass: the same outputs and gradients, bit for bit, in fewer launches."""

from collections.abc import Callable

import pytest
import torch
from call_counters import Launches
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.normalized_weight import DivideBySigma
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.stored_sigma import StoredSigmas
from lipschitz.constraints.weight_normalization import WeightNormalization
from lipschitz.estimation.layers import raw_weight


def net(constraint: SpectralNormalization, before: Callable[[nn.Module], object] = lambda net: None) -> nn.Module:
    """Return a network after an update by ``constraint``, with weights that moved since."""
    torch.manual_seed(0)
    built = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.ConvTranspose2d(3, 4, 2), nn.Flatten(), nn.Linear(36, 1))
    before(built)
    constraint.wrap(built, (2, 4, 4))
    constraint.update(built)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return built


def gradients(net: nn.Module) -> list[Tensor]:
    """Return a loss with a penalty on the input gradient, and its gradients."""
    x = torch.ones(3, 2, 4, 4, requires_grad=True)
    with parametrize.cached():
        value = net(x).square().sum()
        (by_x,) = torch.autograd.grad(value, x, create_graph=True)
        loss = value + by_x.square().sum()
    return [loss, *torch.autograd.grad(loss, list(net.parameters()))]


@pytest.mark.parametrize("operator", ["reshaped", "convolution"])
@pytest.mark.parametrize("c", [1.0, 0.5])
@pytest.mark.parametrize("below", [False, True])
def test_outputs_gradients_and_second_derivatives_are_the_same_bit_for_bit(
    operator: str, c: float, below: bool
) -> None:
    normalise = (lambda net: WeightNormalization().wrap(net, (2, 4, 4))) if below else (lambda net: None)
    ours = net(SpectralNormalization(operator=operator, coefficient=c), normalise)  # type: ignore[arg-type]
    expected = gradients(ours)
    stored = StoredSigmas(ours)
    address = stored.values.data_ptr()
    stored.compute()
    with stored.used():
        found = gradients(ours)
    assert all(map(torch.equal, found, expected))
    assert (len(stored), stored.values.shape, stored.values.data_ptr()) == (3, (3,), address)
    # They were used, and only inside of the block.
    before = ours(torch.ones(1, 2, 4, 4))
    stored.values.fill_(torch.inf)
    with stored.used():
        assert not ours[0].weight.any()
    assert torch.equal(ours(torch.ones(1, 2, 4, 4)), before)


def test_a_zero_weight_stays_zero_with_a_gradient_of_zero() -> None:
    ours = net(SpectralNormalization())
    with torch.no_grad():
        raw_weight(ours[4]).zero_()
    stored = StoredSigmas(ours)
    stored.compute()
    assert stored.values.isinf().tolist() == [False, False, True]
    with stored.used():
        weight = ours[4].weight
    (gradient,) = torch.autograd.grad(weight.sum(), raw_weight(ours[4]))
    assert not weight.any()
    assert not gradient.any()


def test_a_backward_pass_after_sigma_was_computed_anew_is_an_error() -> None:
    ours = net(SpectralNormalization())
    stored = StoredSigmas(ours)
    stored.compute()
    with stored.used():
        loss = ours(torch.ones(1, 2, 4, 4)).sum()
    stored.compute()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_either_output_has_the_gradient_of_a_function_of_the_weight() -> None:
    matrix, u, v = (torch.randn(shape, dtype=torch.float64) for shape in ((3, 5), 3, 5))
    pairs = []
    for stored in (None, u @ matrix @ v):
        weight = matrix.clone().requires_grad_()
        quotient, sigma = DivideBySigma.apply(weight, u, v, stored)
        (first,) = torch.autograd.grad(quotient.tanh().sum() + sigma.square(), weight, create_graph=True)
        pairs.append([quotient, sigma, first, *torch.autograd.grad(first.square().sum(), weight)])
    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_network_without_spectral_normalization_has_none() -> None:
    stored = StoredSigmas(nn.Linear(2, 1))
    with Launches() as launches, stored.used():
        stored.compute()
    assert (len(stored), launches.count) == (0, 0)


def test_on_a_gpu_a_layer_has_two_launches_before_the_forward_pass_and_one_in_it() -> None:
    built = nn.Sequential(*(nn.Linear(4, 4, device="meta") for _ in range(5)))
    stored = StoredSigmas(SpectralNormalization().wrap(built, (4,)))
    with Launches() as early:
        stored.compute()
    with Launches() as forward, stored.used():
        for layer in built:
            _ = layer.weight
    assert (early.count, forward.count) == (3 + 2 * 5, 5)
