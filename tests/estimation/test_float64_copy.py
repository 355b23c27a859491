"""The float64 copy computes the same function, and the network is not changed."""

import copy
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from lipschitz.estimation.float64_copy import float64_copy


class RandomDraw(nn.Module):
    """Draws from torch's global generator when it is called."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * torch.rand_like(x)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(), RandomDraw(), nn.Linear(3, 1))


def test_the_copy_is_float64_in_eval_mode_and_needs_no_gradient() -> None:
    with float64_copy(net()) as twin:
        assert {value.dtype for value in twin.parameters()} == {torch.float64}
        assert not any(module.training for module in twin.modules())
        assert not any(value.requires_grad for value in twin.parameters())


def test_the_network_its_gradients_and_torch_s_generator_are_unchanged() -> None:
    original = net()
    original(torch.ones(4, 2)).sum().backward()
    before = copy.deepcopy(original.state_dict())
    gradients = [value.grad.clone() for value in original.parameters()]
    state = torch.get_rng_state()
    with float64_copy(original) as twin:
        twin(torch.ones(1, 2, dtype=torch.float64))
        for value in twin.parameters():
            value.zero_()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in original.modules())
    assert all(value.requires_grad for value in original.parameters())
    assert all(torch.equal(value, before[name]) for name, value in original.state_dict().items())
    assert all(torch.equal(value.grad, grad) for value, grad in zip(original.parameters(), gradients, strict=True))


def test_a_reparametrised_weight_is_computed_once() -> None:
    calls = []

    class Doubled(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            calls.append(weight.dtype)
            return 2 * weight

    layer = nn.Linear(2, 1)
    nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    calls.clear()
    with float64_copy(layer) as twin:
        x = torch.ones(1, 2, dtype=torch.float64)
        assert torch.equal(twin(x), twin(x))
        assert calls == [torch.float64]


def hooked(layer: nn.Module, name: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return getattr(nn.utils, name)(layer)


@pytest.mark.parametrize("name", ["spectral_norm", "weight_norm"])
def test_torch_s_old_weight_hooks_are_replaced_by_their_weight(name: str) -> None:
    torch.manual_seed(0)
    original = hooked(nn.Conv2d(2, 3, 3), name)
    x = torch.randn(1, 2, 5, 5)
    # The forward pass computes a weight attribute that deepcopy alone refuses.
    original(x)
    u = original.weight_u.clone() if name == "spectral_norm" else None
    expected = original.eval()(x)
    with float64_copy(original.train()) as twin:
        assert not twin._forward_pre_hooks
        assert twin(x.double()).float().allclose(expected, atol=1e-6)
    assert len(original._forward_pre_hooks) == 1
    assert u is None or torch.equal(original.weight_u, u)


def test_torch_s_parametrized_spectral_norm_is_kept() -> None:
    torch.manual_seed(0)
    original = parametrizations.spectral_norm(nn.Linear(3, 2))
    x = torch.randn(1, 3)
    expected = original.eval()(x)
    with float64_copy(original) as twin:
        assert twin(x.double()).float().allclose(expected, atol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_parameter_that_is_not_finite_is_named(value: float) -> None:
    original = net()
    original[4].weight.data[0, 1] = value
    with pytest.raises(ValueError, match=r"'4\.weight' is not finite"), float64_copy(original):
        pass


@pytest.mark.parametrize("affine", [True, False])
def test_an_epsilon_that_follows_the_dtype_stays_that_of_the_network(affine: bool) -> None:
    norm = nn.RMSNorm(3, elementwise_affine=affine)
    x = torch.tensor([[1e-5, -1e-4, 2e-4]])
    with float64_copy(norm) as twin:
        torch.testing.assert_close(twin(x.double()), norm(x).double(), rtol=1e-5, atol=0)
    assert norm.eps is None
