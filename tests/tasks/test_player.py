"""A network with its optimiser: what a step changes in place, and what is restored."""

import copy

import pytest
import torch
from gan_terms import TERMS, with_terms
from torch import nn

from lipschitz.constraints.base import Constraint, Refusal, constrain
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.datasets.images.digits import Digits
from lipschitz.estimation.layers import as_matrix, raw_weight, reparametrizations, weighted_layers
from lipschitz.random_streams import seeded
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.generation.generator import Generator
from lipschitz.tasks.player import Discriminator, Player, players_are_finite
from lipschitz.tasks.precision import check_constraint
from lipschitz.tasks.settings import Setting

CPU = torch.device("cpu")


def player(setting: Setting) -> Player:
    torch.manual_seed(0)
    return Player(nn.Linear(2, 1), setting, CPU)


@pytest.mark.parametrize("progress", [0.25, torch.tensor(0.25, dtype=torch.float64)], ids=["number", "tensor"])
def test_a_learning_rate_decays_in_place(progress: float | torch.Tensor) -> None:
    # A CUDA graph reads it at a fixed address.
    built = player(Setting(lr=1e-3, decay="linear"))
    (group,) = built.optimiser.param_groups
    rate = group["lr"]
    built.decay_learning_rate(progress)
    assert group["lr"] is rate
    assert (rate.dtype, rate.item()) == (torch.float64, pytest.approx(7.5e-4, rel=1e-7))


@pytest.mark.parametrize("decay", ["none", "linear"])
def test_options_of_the_optimiser_stay_those_of_this_process(decay: str) -> None:
    ours, theirs = player(Setting(lr=1e-3, decay=decay)), player(Setting(lr=1e-3, decay=decay))  # type: ignore[arg-type]
    theirs.update(theirs.net(torch.ones(3, 2)).sum())
    theirs.decay_learning_rate(0.5)
    state = copy.deepcopy(theirs.state_dict())
    # Written by a process on another device.
    state["optimiser"]["param_groups"][0] |= {"fused": None, "foreach": True, "capturable": True}
    (group,) = ours.optimiser.param_groups
    rate = group["lr"]
    ours.load_state_dict(state)
    (group,) = ours.optimiser.param_groups
    assert (group["fused"], group["foreach"], group["capturable"]) == (True, None, False)
    assert group["lr"] is rate, "a graph reads the rate at a fixed address"
    assert float(rate) == pytest.approx(1e-3 if decay == "none" else 5e-4, rel=1e-7)
    for one, other in zip(ours.net.parameters(), theirs.net.parameters(), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(ours.optimiser.state[one]["exp_avg"], theirs.optimiser.state[other]["exp_avg"])


@pytest.mark.parametrize("where", ["nothing", "loss", "weight", "buffer"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_losses_weights_and_buffers_must_be_finite(where: str, value: float) -> None:
    players = [Player(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), Setting(), CPU) for _ in "ab"]
    net = players[1].net
    tensors = {"weight": net[0].weight, "buffer": net[1].running_var}  # type: ignore[index]
    for player in players:
        player.losses.write(torch.tensor(1.0))
    assert players_are_finite(players)
    if where == "loss":
        players[1].losses.write(torch.tensor(value))
    elif where != "nothing":
        tensors[where].detach().fill_(value)
    assert players_are_finite(players) == (where == "nothing")


class Draws(Constraint):
    """Draws its state where it is put on a network."""

    source, promise = "this test", "none"

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        net.register_buffer("drawn", torch.randn(3))
        return net


@pytest.mark.parametrize("seed", [0, 3])
def test_constraints_start_from_a_stream_of_the_run_s_seed(seed: int) -> None:
    drawn = (Draws(),)
    terms = with_terms(TERMS, seed=seed, constraints=drawn, generator_constraints=drawn)
    net = nn.Linear(2, 3)
    ours = [
        ("constraint", Discriminator(copy.deepcopy(net), (2,), terms, torch.Generator()).net),
        ("generator_constraint", Generator(copy.deepcopy(net), 2, terms).net),
    ]
    for name, built in ours:
        with seeded(seed, name):
            expected = constrain(copy.deepcopy(net), drawn, (2,))
        for key, value in expected.state_dict().items():
            assert torch.equal(built.state_dict()[key], value), key


def test_the_average_is_of_no_gradient_and_a_snapshot_is_a_copy() -> None:
    built = Generator(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), 2, with_terms(TERMS, ema=0.5))
    assert built.average is not None
    assert not any(parameter.requires_grad for parameter in built.average.parameters())
    before = copy.deepcopy(built.snapshot())
    snapshot = built.snapshot()
    built.update(built.generate(torch.randn(4, 2)).square().sum())
    for part in ("net", "average"):
        for name, value in snapshot[part].items():
            assert torch.equal(value, before[part][name]), name
        moved = built.net if part == "net" else built.average
        assert not torch.equal(moved.state_dict()["0.weight"], snapshot[part]["0.weight"])


def test_power_iteration_in_forward_passes_takes_a_step_for_each_pass() -> None:
    """Two passes of the discriminator's update and one of the generator's, as in the code of SN-GAN's authors."""
    terms = with_terms(TERMS, constraints=(SpectralNormalization(advance="forward"),))
    task = GANTraining(Digits().load(None, CPU), terms)
    layer = next(layer for _, layer in weighted_layers(task.discriminator))
    module = reparametrizations(layer)[0]
    u, v = (module.get_buffer(name).clone() for name in "uv")
    weights = []
    for step, passes in ((task.discriminator_step, 2), (task.generator_step, 1)):
        weight = as_matrix(raw_weight(layer)).detach().clone()
        weights.append(weight)
        step()
        for _ in range(passes):
            v = torch.nn.functional.normalize(weight.T @ u, dim=0)
            u = torch.nn.functional.normalize(weight @ v, dim=0)
        torch.testing.assert_close(module.get_buffer("u"), u)
    assert not torch.equal(*weights)


def test_power_iteration_in_forward_passes_is_refused_in_other_precisions() -> None:
    with pytest.raises(Refusal, match="not supported in bf16; supported: precision: float32, or advance: update"):
        check_constraint("bf16", SpectralNormalization(advance="forward"))
