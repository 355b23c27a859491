"""AdamW, SGD and Muon: first steps by hand, Muon against torch's, which parameters are whose, and resuming."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.testing import assert_close

from lipschitz.constraints.weight_normalization import WeightNormalization
from lipschitz.tasks.muon import orthogonalized
from lipschitz.tasks.optimisers import OPTIMISERS, Muon
from lipschitz.tasks.player import Player
from lipschitz.tasks.settings import Setting

CPU = torch.device("cpu")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ConvTranspose2d(6, 3, 2), nn.Flatten(), nn.Linear(75, 1)
    )


def player(setting: Setting) -> Player:
    return Player(net(), setting, CPU)


def make_steps(player: Player, steps: range) -> None:
    for step in steps:
        player.decay_learning_rate(step / 10)
        player.update(player.net(draw(4, 2, 4, 4, seed=step)).square().mean())


@pytest.mark.parametrize(
    ("optimiser", "expected"),
    [
        # w <- (1 - lr λ) w - lr sign(g) of Adam's first step.
        ({"adamw": {"weight_decay": 0.5}}, [0.95 - 0.1, 0.95 + 0.1]),
        # The sign of g + λ w = (2.5, -2.5).
        ({"adam": {"weight_decay": 0.5}}, [1 - 0.1, 1 + 0.1]),
        ({"sgd": {"weight_decay": 0.5}}, [1 - 0.1 * 2.5, 1 + 0.1 * 2.5]),
        ({"sgd": {"momentum": 0.9}}, [1 - 0.1 * 2, 1 + 0.1 * 3]),
        # The step is along g + μ m, and m = g.
        ({"sgd": {"momentum": 0.9, "nesterov": True}}, [1 - 0.1 * 3.8, 1 + 0.1 * 5.7]),
        # lr (g + λ w) / sqrt(0.01 (g + λ w)²) = 10 lr.
        ({"rmsprop": {"weight_decay": 0.5}}, [0.0, 2.0]),
        # A vector is AdamW's, without decay.
        ({"muon": {"weight_decay": 0.5}}, [1 - 0.1, 1 + 0.1]),
    ],
    ids=str,
)
def test_a_first_step_by_hand(optimiser: Any, expected: list[float]) -> None:
    weight = nn.Parameter(torch.ones(2))
    built = Setting(optimiser=optimiser, lr=0.1).build(nn.ParameterList([weight]), CPU)
    weight.grad = torch.tensor([2.0, -3.0])
    built.step()
    assert weight.tolist() == pytest.approx(expected)


def test_sgd_with_momentum_by_hand() -> None:
    weight = nn.Parameter(torch.zeros(1))
    built = Setting(optimiser={"sgd": {"momentum": 0.5}}, lr=1.0).build(nn.ParameterList([weight]), CPU)
    for _ in range(3):
        weight.grad = torch.ones(1)
        built.step()
    # m is 1, 1.5, 1.75.
    assert weight.item() == pytest.approx(-4.25)


def test_amsgrad_divides_by_the_largest_second_moment_by_hand() -> None:
    weight = nn.Parameter(torch.zeros(1))
    setting = Setting(optimiser={"adam": {"amsgrad": True}}, lr=1.0, betas=(0.0, 0.5))
    built = setting.build(nn.ParameterList([weight]), CPU)
    for gradient in (2.0, 0.0, 1.0):
        weight.grad = torch.tensor([gradient])
        built.step()
    # v is 2, 1, 1, its largest value 2; the third step is 1 / sqrt(2 / (1 - 0.5³)). Adam's would be larger.
    assert weight.item() == pytest.approx(-1 - (0.875 / 2) ** 0.5)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
@pytest.mark.parametrize("step_size", ["match_rms_adamw", "original"])
def test_muon_is_that_of_torch_on_matrices(shape: tuple[int, int], step_size: Any) -> None:
    ours, theirs = (nn.Parameter(draw(*shape)) for _ in "ab")
    mine = Muon(weight_decay=0.3, step_size=step_size, momentum=0.9).build([ours], 0.05, (0.5, 0.9), on_cuda=False)
    reference = torch.optim.Muon([theirs], lr=0.05, weight_decay=0.3, momentum=0.9, adjust_lr_fn=step_size)
    for step in range(4):
        for weight, optimiser in ((ours, mine), (theirs, reference)):
            weight.grad = draw(*shape, seed=step + 1)
            optimiser.step()
    assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_step_of_muon_has_nearly_equal_singular_values() -> None:
    gradient = draw(20, 30) * torch.logspace(0, 2, 20)[:, None]
    u, _, vh = np.linalg.svd(gradient.numpy(), full_matrices=False)
    sigmas = np.linalg.svd(orthogonalized(gradient).float().numpy(), compute_uv=False)
    assert sigmas.max() < 1.3
    assert np.median(sigmas) > 0.6
    # On the first singular vectors it is the nearest orthonormal matrix, up to the published iteration's 30 %.
    assert_allclose(u[:, 0] @ orthogonalized(gradient).float().numpy() @ vh[0], 1, atol=0.3)
    assert not orthogonalized(torch.zeros(3, 2)).any()


@pytest.mark.parametrize("hidden_only", [False, True])
def test_muon_updates_kernels_as_matrices_and_adamw_the_rest(hidden_only: bool) -> None:
    ours = WeightNormalization(gain=True).wrap(net()[2:], (6, 4, 4))
    ours.append(nn.Embedding(3, 4))
    built = Muon(hidden_only=hidden_only).build_for(ours, 0.1, (0.5, 0.9), on_cuda=False)
    groups = [{id(one) for one in group["params"]} for group in built.param_groups]
    named = [sorted(name for name, one in ours.named_parameters() if id(one) in group) for group in groups]
    raw = ["2.parametrizations.weight.original", "4.parametrizations.weight.original"]
    assert named[0] == ([] if hidden_only else raw)
    assert {*named[0], *named[1]} == set(dict(ours.named_parameters()))


def test_a_kernel_of_muon_moves_by_the_learning_rate_in_the_spectral_norm() -> None:
    layer = nn.Conv2d(4, 6, 3)
    before = layer.weight.detach().clone()
    built = Muon(step_size="original").build_for(layer, 0.01, (0.5, 0.9), on_cuda=False)
    layer(draw(2, 4, 5, 5)).square().sum().backward()
    built.step()
    sigmas = torch.linalg.svdvals((layer.weight.detach() - before).flatten(1))
    assert 0.005 < sigmas.min() <= sigmas.max() < 0.013


@pytest.mark.parametrize("name", OPTIMISERS.own)
@pytest.mark.parametrize("decay", ["none", "linear", "one_cycle"])
def test_a_run_that_resumes_repeats_every_bit(name: str, decay: Any) -> None:
    fields = {"sgd": {"momentum": 0.5, "nesterov": True}, "adam": {"amsgrad": True}}
    setting = Setting(optimiser={name: fields[name]} if name in fields else name, lr=1e-2, decay=decay)
    whole, first, second = (player(setting) for _ in range(3))
    make_steps(whole, range(6))
    make_steps(first, range(3))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    make_steps(second, range(3, 6))
    for (key, ours), theirs in zip(second.net.state_dict().items(), whole.net.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), key
    assert not torch.equal(whole.net[0].weight, first.net[0].weight)  # type: ignore[index]
