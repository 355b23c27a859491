"""A network with its optimiser: what a step changes in place, and what is restored."""

import copy

import pytest
import torch
from torch import nn

from lipschitz.tasks.player import Player
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
