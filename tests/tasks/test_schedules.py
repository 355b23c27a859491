"""Learning rate schedules against torch's schedulers, which count steps on the host."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.optim import SGD, lr_scheduler

from lipschitz.tasks.settings import Setting

LR, STEPS = 0.1, 60

SCHEDULES: dict[str, tuple[Setting, Callable[[Any], Any]]] = {
    "step at": (
        Setting(lr=LR, decay="step", decay_at=(0.5, 0.75), decay_factor=0.2),
        lambda optimiser: lr_scheduler.MultiStepLR(optimiser, [30, 45], gamma=0.2),
    ),
    # 7 of 60 is a share that floats round: 14/60 over 7/60 may be below two.
    "step every": (
        Setting(lr=LR, decay="step", decay_every=7 / STEPS, decay_factor=0.5),
        lambda optimiser: lr_scheduler.StepLR(optimiser, 7, gamma=0.5),
    ),
    "cosine": (
        Setting(lr=LR, decay="cosine"),
        lambda optimiser: lr_scheduler.CosineAnnealingLR(optimiser, STEPS),
    ),
    "linear": (
        Setting(lr=LR, decay="linear"),
        lambda optimiser: lr_scheduler.LinearLR(optimiser, 1.0, 0.0, STEPS),
    ),
}


def rates_of_torch(make: Callable[[Any], Any], steps: int) -> list[float]:
    optimiser = SGD([nn.Parameter(torch.zeros(()))], lr=LR)
    scheduler, rates = make(optimiser), []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_torch(name: str) -> None:
    setting, make = SCHEDULES[name]
    expected = rates_of_torch(make, STEPS)
    for progress in ([step / STEPS for step in range(STEPS)], torch.arange(STEPS, dtype=torch.float64) / STEPS):
        assert [float(setting.lr_at(share)) for share in progress] == pytest.approx(expected, rel=1e-9)


def test_one_cycle_is_that_of_torch_up_to_the_step_at_which_it_ends() -> None:
    # torch's phases end at steps 0.3 n - 1 and n - 1; here at the shares 0.3 and 1.
    steps = 2000
    expected = rates_of_torch(lambda optimiser: lr_scheduler.OneCycleLR(optimiser, LR, steps), steps)
    found = [float(Setting(lr=LR, decay="one_cycle").lr_at(step / steps)) for step in range(steps)]
    assert found == pytest.approx(expected, abs=LR * 0.006)
    assert found[0] == pytest.approx(LR / 25, rel=1e-12)
    assert max(found) == found[600] == pytest.approx(LR, rel=1e-12)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"decay": "step"}, "allowed: decay_at or decay_every"),
        ({"decay": "step", "decay_at": [0.5], "decay_every": 0.1}, "allowed: decay_at or decay_every"),
        ({"decay": "cosine", "decay_factor": 0.5}, "decay_factor is of decay: step"),
        ({"optimiser": {"sgd": {"nesterov": True}}}, "nesterov needs momentum"),
    ],
)
def test_what_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Setting.model_validate(fields)
