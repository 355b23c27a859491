"""Spectral normalization against NumPy's SVD, a plain writing of Algorithm 1, finite differences, and torch's own."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from lipschitz.constraints.spectral_normalization import DivideBySigma, NormalizedWeight, SpectralNormalization
from lipschitz.datasets.eight_gaussians import EightGaussians
from lipschitz.estimation.layers import WeightedLayer, raw_weight, weighted_layers
from lipschitz.models.mlp import MLP
from lipschitz.tasks.generation import Generation
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.settings import SETTINGS


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 3, 3),
            relu=nn.ReLU(),
            deconv=nn.ConvTranspose2d(3, 4, 2),
            flatten=nn.Flatten(),
            output=nn.Linear(4 * 9, 1),
        )
    ).double()


def normalized(layer: nn.Module) -> NormalizedWeight:
    return layer.parametrizations["weight"][0]


def vectors(net: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    modules = {name: normalized(layer) for name, layer in weighted_layers(net)}
    return {name: (module.u.clone(), module.v.clone()) for name, module in modules.items()}


def as_numpy_matrix(layer: WeightedLayer, weight: Tensor) -> np.ndarray:
    array = weight.detach().double().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        array = array.transpose(1, 0, 2, 3)
    return array.reshape(len(array), -1)


def test_every_layer_starts_at_sigma_one() -> None:
    ours = SpectralNormalization().wrap(convolutions(), (2, 4, 4))
    for name, layer in weighted_layers(ours):
        effective, raw = as_numpy_matrix(layer, layer.weight), as_numpy_matrix(layer, raw_weight(layer))
        assert np.linalg.norm(effective, 2) == pytest.approx(1, abs=1e-12), name
        assert_allclose(effective, raw / np.linalg.norm(raw, 2), atol=1e-14)


def test_biases_stay_and_the_kernel_keeps_its_shape() -> None:
    ours, bare = SpectralNormalization().wrap(convolutions(), (2, 4, 4)), convolutions()
    for (_, one), (_, other) in zip(weighted_layers(ours), weighted_layers(bare), strict=True):
        assert one.weight.shape == other.weight.shape
        assert torch.equal(one.bias, other.bias)


def algorithm_1(
    weights: list[Tensor], us: list[Tensor], vs: list[Tensor], forward: Callable[[list[Tensor]], Tensor], lr: float
) -> Tensor:
    """Make one iteration of Algorithm 1 by plain autograd, in place, with u and v constant; return the loss."""
    bars = []
    for i, weight in enumerate(weights):
        matrix = weight.detach().flatten(1)
        vs[i] = unit(matrix.T @ us[i])
        us[i] = unit(matrix @ vs[i])
        bars.append(weight / (us[i] @ weight.flatten(1) @ vs[i]))
    loss = forward(bars)
    gradients = torch.autograd.grad(loss, weights)
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight -= lr * gradient
    return loss.detach()


def test_training_equals_a_plain_writing_of_algorithm_1_step_by_step() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        OrderedDict(conv=nn.Conv2d(2, 3, 3), act=nn.Tanh(), flatten=nn.Flatten(), output=nn.Linear(12, 1))
    ).double()
    weights = [layer.weight.detach().clone().requires_grad_() for _, layer in weighted_layers(net)]
    biases = [layer.bias.detach().clone() for _, layer in weighted_layers(net)]
    svds = [np.linalg.svd(weight.detach().flatten(1).numpy(), full_matrices=False) for weight in weights]
    us = [torch.from_numpy(u[:, 0].copy()) for u, _, _ in svds]
    vs = [torch.from_numpy(vh[0].copy()) for _, _, vh in svds]

    constraint = SpectralNormalization()
    constraint.wrap(net, (2, 4, 4))
    raw = [raw_weight(layer) for _, layer in weighted_layers(net)]
    optimiser = torch.optim.SGD(raw, lr=0.5)
    x = draw(4, 2, 4, 4)

    def forward(bars: list[Tensor]) -> Tensor:
        hidden = torch.tanh(F.conv2d(x, bars[0], biases[0])).flatten(1)
        return F.linear(hidden, bars[1], biases[1]).square().mean()

    start = [weight.detach().clone() for weight in raw]
    for _ in range(6):
        expected = algorithm_1(weights, us, vs, forward, lr=0.5)
        constraint.update(net)
        loss = net(x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert_allclose(loss.item(), expected.item(), rtol=1e-10)
        for ours, theirs in zip(raw, weights, strict=True):
            assert_allclose(ours.detach(), theirs.detach(), rtol=1e-10, atol=1e-10)
    assert all((weight - old).norm() > 0.1 * old.norm() for weight, old in zip(raw, start, strict=True))


def test_the_gradient_is_that_of_equation_12() -> None:
    matrix, gradient = draw(4, 6), draw(4, 6, seed=1)
    u, v = unit(draw(4, seed=2)), unit(draw(6, seed=3))
    sigma = (u @ matrix @ v).item()
    weight = matrix.clone().requires_grad_()
    (ours,) = torch.autograd.grad(DivideBySigma.apply(weight, u, v), weight, gradient)
    along = (gradient.numpy() * matrix.numpy() / sigma).sum()
    assert_allclose(ours, (gradient.numpy() - along * np.outer(u, v)) / sigma, rtol=1e-12)


def test_by_its_own_direction_the_weight_has_no_gradient() -> None:
    # W / σ(W) does not change with W's scale (homogeneous of degree 0), so <gradient, W> = 0 by Euler.
    weight = draw(4, 6).requires_grad_()
    normalize = SpectralNormalization().wrap(nn.Linear(6, 4).double(), (6,))
    with torch.no_grad():
        raw_weight(normalize).copy_(weight)
    normalize(draw(3, 6)).square().sum().backward()
    raw = raw_weight(normalize)
    assert raw.grad is not None
    assert abs((raw.grad * raw).sum().item()) < 1e-10


@pytest.mark.filterwarnings("ignore:Input #:UserWarning")
def test_gradcheck_and_gradgradcheck() -> None:
    matrix = draw(3, 5).requires_grad_()
    u, v = unit(draw(3, seed=2)), unit(draw(5, seed=3))
    assert torch.autograd.gradcheck(DivideBySigma.apply, (matrix, u, v))
    assert torch.autograd.gradgradcheck(DivideBySigma.apply, (matrix, u, v))


def test_a_transposed_convolution_is_normalised_by_output_channel() -> None:
    layer = nn.ConvTranspose2d(3, 2, 2).double()
    raw = layer.weight.detach().clone()
    SpectralNormalization().wrap(layer, (3, 2, 2))
    expected = np.linalg.norm(raw.transpose(0, 1).reshape(2, -1).numpy(), 2)
    assert_allclose(layer.weight.detach(), raw / expected, rtol=1e-12)
    gradient = draw(3, 2, 2, 2, seed=1)
    layer.weight.backward(gradient)
    plain = raw.clone().requires_grad_()
    module = normalized(layer)
    (plain / (module.u @ plain.transpose(0, 1).flatten(1) @ module.v)).backward(gradient)
    assert plain.grad is not None
    assert_allclose(raw_weight(layer).grad, plain.grad, rtol=1e-10, atol=1e-12)


def test_parity_with_torch() -> None:
    torch.manual_seed(0)
    theirs = nn.Linear(6, 4).double()
    ours = nn.Linear(6, 4).double()
    ours.load_state_dict(theirs.state_dict())
    # In eval mode torch's does not advance its vectors, which are set to ours: off those of the SVD.
    parametrizations.spectral_norm(theirs, n_power_iterations=1).eval()
    SpectralNormalization().wrap(ours, (6,))
    u, v = unit(draw(4, seed=1)), unit(draw(6, seed=2))
    for module, names in ((normalized(ours), ("u", "v")), (theirs.parametrizations.weight[0], ("_u", "_v"))):
        for name, value in zip(names, (u, v), strict=True):
            module.get_buffer(name).copy_(value)
    assert_allclose(ours.weight.detach(), theirs.weight.detach(), rtol=1e-12)
    x = draw(5, 6)
    for layer in (ours, theirs):
        layer(x).square().sum().backward()
    assert_allclose(raw_weight(ours).grad, raw_weight(theirs).grad, rtol=1e-10)
    # One step of ours, v first, and u as torch would have it from the same v.
    SpectralNormalization().update(ours)
    weight = raw_weight(theirs).detach()
    assert_allclose(normalized(ours).v, unit(weight.T @ u), atol=1e-12)
    assert_allclose(normalized(ours).u, unit(weight @ unit(weight.T @ u)), atol=1e-12)


def test_updates_bring_sigma_back_to_one() -> None:
    ours = SpectralNormalization().wrap(convolutions(), (2, 4, 4))
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    sigmas = [np.linalg.norm(as_numpy_matrix(layer, layer.weight), 2) for _, layer in weighted_layers(ours)]
    assert max(sigmas) > 1.05
    SpectralNormalization(power_iterations=500).update(ours)
    for _, layer in weighted_layers(ours):
        assert np.linalg.norm(as_numpy_matrix(layer, layer.weight), 2) == pytest.approx(1, rel=1e-6)


def test_power_iterations_are_as_many_updates() -> None:
    ours, theirs = (SpectralNormalization().wrap(convolutions(), (2, 4, 4)) for _ in range(2))
    for net in (ours, theirs):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(draw(*parameter.shape, seed=5))
    for _ in range(3):
        SpectralNormalization().update(ours)
    SpectralNormalization(power_iterations=3).update(theirs)
    for name, (u, v) in vectors(ours).items():
        assert torch.equal(u, vectors(theirs)[name][0])
        assert torch.equal(v, vectors(theirs)[name][1])


def test_a_cached_weight_is_computed_once_and_keeps_its_gradient() -> None:
    ours = SpectralNormalization().wrap(convolutions(), (2, 4, 4))
    x = draw(2, 2, 4, 4)
    ours(x).mean().backward()
    expected = [parameter.grad.clone() for parameter in ours.parameters() if parameter.grad is not None]
    ours.zero_grad()
    with parametrize.cached():
        loss = (ours(x).mean() + ours(x).mean()) / 2
    loss.backward()
    for parameter, gradient in zip(ours.parameters(), expected, strict=True):
        assert_allclose(parameter.grad, gradient, atol=1e-12)


# Where u may move in the task.


@pytest.fixture
def task() -> Generation:
    data = EightGaussians().load(None, torch.device("cpu"))
    built = Generation(
        data,
        MLP(width=8, depth=2),
        (SpectralNormalization(),),
        LOSSES["hinge"],
        SETTINGS["D"],
        seed=0,
        batch_size=8,
        samples=16,
        gradient_samples=8,
        selection="w1",
        device=torch.device("cpu"),
    )
    # Far from the singular vectors, where a step of power iteration would stand still.
    for _, layer in weighted_layers(built.discriminator):
        module = normalized(layer)
        module.u.copy_(unit(torch.arange(1.0, 1 + len(module.u))))
        module.v.copy_(unit(raw_weight(layer).detach().T @ module.u))
    return built


def advanced(net: nn.Module, times: int) -> dict[str, Tensor]:
    """Return u of every layer after power iteration on the present raw weights."""
    us = {}
    for name, layer in weighted_layers(net):
        matrix, u = raw_weight(layer).detach(), normalized(layer).u.clone()
        for _ in range(times):
            u = unit(matrix @ unit(matrix.T @ u))
        us[name] = u
    return us


def test_a_discriminator_update_advances_u_exactly_once(task: Generation) -> None:
    once, twice = advanced(task.discriminator, 1), advanced(task.discriminator, 2)
    task.discriminator_step()
    for name, layer in weighted_layers(task.discriminator):
        u = normalized(layer).u
        assert_allclose(u, once[name], atol=1e-6)
        if len(u) > 1:
            assert (u - twice[name]).norm() > 1e-3, "power iteration has converged: the test sees nothing"


def test_an_iteration_advances_u_once_a_discriminator_update(task: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    advance = NormalizedWeight.advance

    def counted(self: NormalizedWeight, weight: Tensor, iterations: int) -> None:
        calls.append(iterations)
        advance(self, weight, iterations)

    monkeypatch.setattr(NormalizedWeight, "advance", counted)
    task.step(0.0)
    assert calls == [1] * 5 * len(list(weighted_layers(task.discriminator))), "setting D makes five updates"


@pytest.mark.parametrize(
    "action",
    [
        lambda task: task.generator_step(),
        lambda task: task.evaluate("a"),
        lambda task: task.arrays(),
        lambda task: task.facts(),
        lambda task: task.end_interval(),
        lambda task: task.discriminator.eval()(torch.ones(1, 2)),
        lambda task: task.discriminator.train()(torch.ones(1, 2)),
    ],
    ids=["generator step", "evaluation", "arrays", "facts", "end of interval", "eval forward", "train forward"],
)
def test_nothing_else_moves_u(task: Generation, action: Callable[[Generation], object]) -> None:
    before = vectors(task.discriminator)
    action(task)
    for name, (u, v) in vectors(task.discriminator).items():
        assert torch.equal(u, before[name][0])
        assert torch.equal(v, before[name][1])


def test_a_generator_step_sees_sigma_of_the_weights_as_they_are_now(task: Generation) -> None:
    for _, layer in weighted_layers(task.discriminator):
        raw, module = raw_weight(layer).detach(), normalized(layer)
        assert_allclose(layer.weight.detach(), raw / (module.u @ raw @ module.v), rtol=1e-5)
