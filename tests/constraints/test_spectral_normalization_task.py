"""In a task, power iteration advances u once before each discriminator update and nowhere else."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from gan_terms import TERMS, with_terms
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.constraints import normalized_weight
from lipschitz.constraints.normalized_weight import NormalizedWeight
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.datasets.points import EightGaussians
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.models.mlp import MLP
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.settings import SETTINGS


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def normalized(layer: nn.Module) -> NormalizedWeight:
    return layer.parametrizations["weight"][0]


def vectors(net: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    modules = {name: normalized(layer) for name, layer in weighted_layers(net)}
    return {name: (module.u.clone(), module.v.clone()) for name, module in modules.items()}


@pytest.fixture
def task() -> GANTraining:
    data = EightGaussians().load(None, torch.device("cpu"))
    built = GANTraining(
        data,
        with_terms(
            TERMS,
            model=MLP(width=8, depth=2),
            constraints=(SpectralNormalization(),),
            setting=SETTINGS["D"],
            samples=16,
            selection="w1",
        ),
    )
    # Start away from the singular vectors, because power iteration does not change those.
    for _, layer in weighted_layers(built.discriminator):
        module = normalized(layer)
        module.u.copy_(unit(torch.arange(1.0, 1 + len(module.u))))
        module.v.copy_(unit(raw_weight(layer).detach().T @ module.u))
    return built


def advanced(net: nn.Module, times: int) -> dict[str, Tensor]:
    """Return u of every layer after power iteration on the current raw weights."""
    us = {}
    for name, layer in weighted_layers(net):
        matrix, u = raw_weight(layer).detach(), normalized(layer).u.clone()
        for _ in range(times):
            u = unit(matrix @ unit(matrix.T @ u))
        us[name] = u
    return us


def test_a_discriminator_update_advances_u_exactly_once(task: GANTraining) -> None:
    once, twice = advanced(task.discriminator, 1), advanced(task.discriminator, 2)
    task.discriminator_step()
    for name, layer in weighted_layers(task.discriminator):
        u = normalized(layer).u
        assert_allclose(u, once[name], atol=1e-6)
        if len(u) > 1:
            assert (u - twice[name]).norm() > 1e-3, "the test needs unconverged vectors"


def test_an_iteration_advances_u_once_per_discriminator_update(
    task: GANTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []
    advance = normalized_weight.advance

    def counted(operators: Sequence[Any], us: Any, vs: Any, iterations: int) -> list[Tensor]:
        calls.append((len(operators), iterations))
        return advance(operators, us, vs, iterations)

    monkeypatch.setattr(normalized_weight, "advance", counted)
    task.step(0.0)
    layers = len(list(weighted_layers(task.discriminator)))
    assert calls == [(layers, 1)] * 5, "setting D makes five updates"


def test_each_weight_is_normalised_once_per_update(task: GANTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[NormalizedWeight] = []
    forward = NormalizedWeight.forward

    def counted(self: NormalizedWeight, weight: Tensor) -> Tensor:
        calls.append(self)
        return forward(self, weight)

    monkeypatch.setattr(NormalizedWeight, "forward", counted)
    task.discriminator_step()
    assert calls == [normalized(layer) for _, layer in weighted_layers(task.discriminator)]


@pytest.mark.parametrize(
    "action",
    [
        lambda task: task.generator_step(),
        lambda task: task.evaluate("a"),
        lambda task: task.arrays(),
        lambda task: task.facts(),
        lambda task: task.keep_for_next_evaluation(),
        lambda task: task.discriminator.eval()(torch.ones(1, 2)),
        lambda task: task.discriminator.train()(torch.ones(1, 2)),
    ],
    ids=["generator step", "evaluation", "arrays", "facts", "end of interval", "eval forward", "train forward"],
)
def test_nothing_else_changes_u(task: GANTraining, action: Callable[[GANTraining], object]) -> None:
    before = vectors(task.discriminator)
    action(task)
    for name, (u, v) in vectors(task.discriminator).items():
        assert torch.equal(u, before[name][0])
        assert torch.equal(v, before[name][1])


def test_sigma_is_computed_from_the_current_weights(task: GANTraining) -> None:
    task.discriminator_step()
    for _, layer in weighted_layers(task.discriminator):
        raw, module = raw_weight(layer).detach(), normalized(layer)
        assert_allclose(layer.weight.detach(), raw / (module.u @ raw @ module.v), rtol=1e-5)
        with torch.no_grad():
            raw_weight(layer).mul_(3).add_(0.1)
        raw = raw_weight(layer).detach()
        assert_allclose(layer.weight.detach(), raw / (module.u @ raw @ module.v), rtol=1e-5)
