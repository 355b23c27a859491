"""Gradient normalization: values by hand, the discontinuity at a kink, and derivatives up to the third."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from gan_terms import TERMS, with_terms
from numpy.testing import assert_allclose
from smooth_nets import HalfSquare, check_parameter_gradients, dead_net, draw, flat_net, linear, rng, smooth_net
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint, Refusal, constrain
from lipschitz.constraints.gradient_normalization import GradientNormalization, normalize
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.input_gradients import input_gradients
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.wasserstein_divergence import WassersteinDivergence
from lipschitz.constraints.zero_centered_penalty import ZeroCenteredPenalty
from lipschitz.datasets.points import EightGaussians
from lipschitz.estimation.layers import input_shapes
from lipschitz.models.mlp import MLP
from lipschitz.tasks.generation.gan_training import GANTraining


def normalized(net: nn.Module, shape: tuple[int, ...] = (2,)) -> nn.Module:
    return constrain(net, [GradientNormalization()], shape)


def relu_mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)).double()


def slopes(net: nn.Module, x: Tensor) -> np.ndarray:
    return np.linalg.norm(input_gradients(net, x).detach().numpy(), axis=1)


# Values.


def test_a_linear_network_by_hand() -> None:
    x = draw(7, 2)
    f = x.numpy() @ np.array([[3.0], [4.0]]) + 2
    assert_allclose(normalized(linear([3.0, 4.0], 2.0))(x).detach(), f / (5 + np.abs(f)), rtol=1e-12)


def test_the_norm_is_per_sample_over_all_other_axes() -> None:
    x = draw(5, 3, 4, 4)
    norms = np.sqrt((x.numpy() ** 2).sum(axis=(1, 2, 3)))[:, None]
    # D(x) = |x|²/2 has the gradient x.
    expected = (norms**2 / 2) / (norms + norms**2 / 2)
    assert_allclose(normalized(HalfSquare(), (3, 4, 4))(x).detach(), expected, rtol=1e-12)


def test_samples_do_not_influence_each_other() -> None:
    net, x = normalized(relu_mlp()), draw(6, 2)
    assert_allclose(net(x).detach(), torch.cat([net(one) for one in x.split(1)]).detach(), rtol=1e-12)


def test_a_piecewise_linear_network_has_values_and_gradients_below_one() -> None:
    bare, net, x = relu_mlp(), normalized(relu_mlp()), 3 * draw(2000, 2)
    f, norms = bare(x).detach().numpy()[:, 0], slopes(bare, x)
    assert norms.min() > 0
    assert np.abs(net(x).detach().numpy()).max() < 1
    assert slopes(net, x).max() <= 1
    assert_allclose(slopes(net, x), (norms / (norms + np.abs(f))) ** 2, rtol=1e-9)


def test_it_is_discontinuous_at_a_kink() -> None:
    # f = 1 + max(x, 0): f̂ is 1 / (0 + 1) left of zero and (1 + x) / (1 + 1 + x) right of it.
    net = nn.Sequential(linear([1.0]), nn.ReLU(), linear([1.0], 1.0))
    left, right = normalized(net, (1,))(torch.tensor([[-1e-9], [1e-9]], dtype=torch.float64)).flatten().tolist()
    assert left == 1
    assert right == pytest.approx(0.5, abs=1e-8)
    assert (left - right) / 2e-9 > 1e8, "the difference quotient is unbounded"


def test_the_gradient_of_a_smooth_network_may_exceed_one() -> None:
    # f = a + x² has f̂ = (a + x²) / (2x + a + x²) for x > 0, whose slope tends to -2/a at zero.
    def f(x: Tensor) -> Tensor:
        return 0.1 + x.square()

    x = torch.tensor([[1e-9]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(normalize(f, x), x)
    assert slope.item() == pytest.approx(-20, rel=1e-6)


def test_it_is_zero_where_value_and_gradient_are_zero() -> None:
    net = relu_mlp()
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    output = normalized(net)(draw(3, 2))
    assert torch.equal(output, torch.zeros(3, 1, dtype=torch.float64))
    output.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters() if parameter.grad is not None)
    assert net[4].bias.grad is not None


def test_several_outputs_per_sample_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one output per sample, got shape \(3, 2\)"):
        normalized(nn.Linear(2, 2).double())(draw(3, 2))


# The wrapped network.


def test_modules_and_parameters_are_kept() -> None:
    net = relu_mlp()
    names, parameters = list(net.state_dict()), list(net.parameters())
    wrapped = normalized(net)
    assert wrapped is net
    assert list(wrapped.state_dict()) == names
    assert all(one is other for one, other in zip(wrapped.parameters(), parameters, strict=True))
    assert isinstance(wrapped, nn.Sequential)
    assert repr(wrapped).startswith("GradientNormalizedSequential(")


def test_the_wrapped_network_declares_an_infinite_lipschitz_constant() -> None:
    net = normalized(relu_mlp())
    assert net.lipschitz_constant == math.inf
    assert net.lipschitz_reason == "gradient normalisation is discontinuous where the gradient jumps"
    assert not hasattr(nn.Sequential, "lipschitz_constant")
    assert not hasattr(net[0], "lipschitz_constant")


def test_a_copy_is_normalised_and_independent() -> None:
    net, x = normalized(relu_mlp()), draw(4, 2)
    twin = copy.deepcopy(net)
    assert torch.equal(net(x), twin(x))
    assert twin.lipschitz_constant == math.inf
    before = net(x).detach()
    with torch.no_grad():
        twin[0].weight.mul_(2)
    assert torch.equal(net(x), before)
    assert not torch.equal(twin(x), before)


def test_the_state_dict_is_that_of_the_bare_network() -> None:
    net, x = normalized(relu_mlp()), draw(4, 2)
    bare = relu_mlp()
    for parameter in bare.parameters():
        nn.init.normal_(parameter)
    bare.load_state_dict(net.state_dict())
    assert_allclose(normalize(bare, x).detach(), net(x).detach(), rtol=1e-12)


def test_eval_mode_float32_and_meta_device() -> None:
    net, x = normalized(relu_mlp()), draw(4, 2)
    expected = net(x).detach()
    assert torch.equal(net.eval()(x), expected)
    single = net.float()(x.float())
    assert single.dtype == torch.float32
    assert_allclose(single.detach(), expected, rtol=1e-4, atol=1e-6)
    with torch.device("meta"):
        abstract = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert normalized(abstract)(torch.zeros(5, 2, device="meta")).shape == (5, 1)


def test_it_combines_with_spectral_normalization_in_either_order() -> None:
    x = draw(4, 1, 3, 3)
    net = normalized(smooth_net(), (1, 3, 3))
    assert input_shapes(net, (1, 3, 3)) == input_shapes(smooth_net(), (1, 3, 3))
    orders = [(GradientNormalization(), SpectralNormalization()), (SpectralNormalization(), GradientNormalization())]
    one, other = (constrain(smooth_net(), order, (1, 3, 3)) for order in orders)
    assert torch.equal(one(x), other(x))
    assert not torch.allclose(one(x), net(x))


def test_batch_normalization_is_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    with pytest.raises(Refusal, match=r"^gradient_normalization .* batch normalization in '1' makes it depend on"):
        normalized(net)


# Derivatives.


def test_no_grad_gives_the_same_value_without_a_graph() -> None:
    net, x = normalized(relu_mlp()), draw(4, 2)
    with_graph = net(x)
    with torch.no_grad():
        without = net(x)
        of_a_leaf = net(draw(4, 2).requires_grad_())
    assert torch.equal(with_graph, without)
    assert torch.equal(with_graph, of_a_leaf)
    assert with_graph.requires_grad
    assert not without.requires_grad
    assert not of_a_leaf.requires_grad
    assert not x.requires_grad
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.filterwarnings("ignore:Input #:UserWarning")
def test_gradcheck_and_gradgradcheck_in_the_input() -> None:
    net, x = normalized(smooth_net(), (1, 3, 3)), draw(2, 1, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(net, (x,))
    assert torch.autograd.gradgradcheck(net, (x,))


def test_the_parameters_gradient_equals_finite_differences() -> None:
    net, x = normalized(smooth_net(), (1, 3, 3)), draw(3, 1, 3, 3)
    # All six parameters have a gradient; the last bias through |f|.
    assert check_parameter_gradients(net, lambda: net(x).square().sum()) == 6


@pytest.mark.parametrize("others", [(), (SpectralNormalization(),)], ids=["bare", "spectrally normalised"])
@pytest.mark.parametrize(
    "penalty",
    [
        GradientPenalty(),
        GradientPenalty(points="real"),
        GradientPenalty(points="perturbed_real"),
        ZeroCenteredPenalty(points="both"),
        WassersteinDivergence(power=2.0),
    ],
    ids=lambda penalty: penalty.label(),
)
def test_gradients_of_penalties_equal_finite_differences(penalty: Constraint, others: tuple[Constraint, ...]) -> None:
    net = constrain(smooth_net(), [GradientNormalization(), *others, penalty], (1, 3, 3))
    batch = Batch(draw(2, 1, 3, 3), draw(2, 1, 3, 3, seed=1))
    assert check_parameter_gradients(net, lambda: penalty.penalty(net, batch, rng())) == 6


@pytest.mark.parametrize(
    "penalty", [GradientPenalty(), ZeroCenteredPenalty(points="both"), WassersteinDivergence()], ids=lambda p: p.name()
)
@pytest.mark.parametrize("bare", [dead_net, flat_net])
def test_derivatives_are_finite_where_the_gradient_is_zero(bare: Callable[[], nn.Module], penalty: Constraint) -> None:
    net = normalized(bare())
    batch = Batch(draw(3, 2), draw(3, 2, seed=1))
    output = net(batch.real)
    assert_allclose(output.detach().abs(), np.ones((3, 1)))
    (output.sum() + penalty.penalty(net, batch, rng())).backward()
    assert net[0].weight.grad is not None
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())


def test_a_generators_gradient_flows_through_a_frozen_discriminator() -> None:
    net = normalized(smooth_net(), (1, 3, 3)).requires_grad_(False)
    torch.manual_seed(1)
    generator = nn.Sequential(nn.Linear(3, 9), nn.Tanh(), nn.Unflatten(1, (1, 3, 3))).double()
    latents = draw(4, 3)
    assert check_parameter_gradients(generator, lambda: -net(generator(latents)).mean()) == 2
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_gan_trains_with_gradient_normalization() -> None:
    task = GANTraining(
        EightGaussians().load(None, torch.device("cpu")),
        with_terms(
            TERMS,
            model=MLP(width=8, depth=2),
            constraints=(GradientNormalization(), GradientPenalty(weight=1.0)),
            samples=16,
            selection="w1",
        ),
    )
    before = {
        player: [parameter.detach().clone() for parameter in net.parameters()]
        for player, net in (("generator", task.generator), ("discriminator", task.discriminator))
    }
    task.step(0.0)
    assert task.is_finite()
    assert not all(map(torch.equal, before["generator"], task.generator.parameters()))
    assert not all(map(torch.equal, before["discriminator"], task.discriminator.parameters()))
    values = task.evaluate("a")
    # Inside a linear region the gradient norm is at most one; difference quotients across a jump are unbounded.
    assert max(value for name, value in values.items() if name.startswith("gradient_norm_max/")) <= 1
    assert values["lipschitz_upper"] == math.inf
    assert np.abs(task.arrays()["surface"]).max() <= 1
