"""Settings: SN-GAN's A to F, what is refused, and the optimisers that they build."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lipschitz.tasks.optimisers import Adam
from lipschitz.tasks.settings import SETTINGS, Setting

CPU = torch.device("cpu")

# Miyato et al. 2018, Table 1: α, β1, β2, n_dis.
TABLE_1 = {
    "A": (1e-4, 0.5, 0.9, 5),
    "B": (1e-4, 0.5, 0.999, 1),
    "C": (2e-4, 0.5, 0.999, 1),
    "D": (1e-3, 0.5, 0.9, 5),
    "E": (1e-3, 0.5, 0.999, 5),
    "F": (1e-3, 0.9, 0.999, 5),
}


def parameter() -> nn.Parameter:
    return nn.Parameter(torch.ones(3))


def net_of(*parameters: nn.Parameter) -> nn.Module:
    return nn.ParameterList(parameters)


def test_a_to_f_are_those_of_table_1() -> None:
    found = {letter: (s.lr, *s.betas, s.n_dis) for letter, s in SETTINGS.items()}
    assert found == TABLE_1
    assert all(s.optimiser == Adam() and s.decay == "none" for s in SETTINGS.values())


@pytest.mark.parametrize("letter", TABLE_1)
def test_adam_is_given_the_settings_numbers(letter: str) -> None:
    lr, beta1, beta2, _ = TABLE_1[letter]
    optimiser = SETTINGS[letter].build(net_of(parameter()), CPU)
    assert type(optimiser) is torch.optim.Adam
    (group,) = optimiser.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"], group["eps"]) == (lr, (beta1, beta2), 0, 1e-8)


def test_the_first_step_of_adam_by_hand() -> None:
    weight = parameter()
    optimiser = Setting(lr=0.1).build(net_of(weight), CPU)
    weight.grad = torch.tensor([2.0, -3.0, 0.0])
    optimiser.step()
    # With bias correction the first step is lr g / (|g| + ε).
    assert weight.tolist() == pytest.approx([0.9, 1.1, 1.0])


def test_the_first_step_of_rmsprop_by_hand() -> None:
    weight = parameter()
    optimiser = Setting(optimiser="rmsprop", lr=5e-5).build(net_of(weight), CPU)
    assert type(optimiser) is torch.optim.RMSprop
    weight.grad = torch.tensor([2.0, -3.0, 0.0])
    optimiser.step()
    # lr g / sqrt(0.01 g²) = 10 lr.
    assert weight.tolist() == pytest.approx([1 - 5e-4, 1 + 5e-4, 1.0])


def test_zero_beta_written_as_an_integer_becomes_a_float() -> None:
    setting = Setting(betas=[0, 0.9])
    assert setting.betas == (0.0, 0.9)
    assert all(isinstance(beta, float) for beta in setting.betas)
    setting.build(net_of(parameter()), CPU)


def test_linear_decay_reaches_zero_at_the_end() -> None:
    setting = Setting(lr=1e-3, decay="linear")
    assert [setting.lr_at(share) for share in (0.0, 0.25, 1.0)] == pytest.approx([1e-3, 7.5e-4, 0.0])
    assert Setting(lr=1e-3).lr_at(0.9) == 1e-3


@pytest.mark.parametrize(
    "fields",
    [
        {"lr": 0.0},
        {"lr": -1e-4},
        {"lr": "1e-4"},
        {"betas": (1.0, 0.9)},
        {"betas": (-0.1, 0.9)},
        {"betas": ("0.5", 0.9)},
        {"betas": (0.5,)},
        {"n_dis": 0},
        {"n_dis": 1.5},
        {"optimiser": "lion"},
        {"discriminator_optimiser": "lion"},
        {"optimiser": {"muon": {"momentum": 1.0}}},
        {"optimiser": {"adamw": {"weight_decay": -0.1}}},
        {"decay": "exponential"},
        {"beta1": 0.5},
    ],
    ids=str,
)
def test_what_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Setting(**fields)


def test_labels() -> None:
    assert [setting.label() for setting in SETTINGS.values()] == list("ABCDEF")
    assert Setting().label() == "C"
    assert Setting(lr=1e-4, betas=(0.0, 0.9), n_dis=5).label() == "adam(lr=0.0001, betas=[0.0, 0.9], n_dis=5)"
    assert Setting(optimiser="rmsprop", lr=5e-5).label() == "rmsprop(lr=5e-05)"
    assert Setting(lr=1e-3, decay="linear").label() == "adam(lr=0.001, decay=linear)"
    assert [Setting(optimiser=name).label() for name in ("muon", "rmsprop")] == ["muon", "rmsprop()"]
    decayed = Setting(optimiser={"adamw": {"weight_decay": 1.0}}, discriminator_optimiser={"muon": {"momentum": 0.9}})
    assert decayed.label() == "adamw(weight_decay=1.0, discriminator_optimiser=muon, discriminator_momentum=0.9)"


def test_the_discriminator_may_have_its_own_optimiser_and_learning_rate() -> None:
    both = Setting(discriminator_optimiser="muon", discriminator_lr=1e-3, decay="linear")
    assert both.of_discriminator() == Setting(optimiser="muon", lr=1e-3, decay="linear")
    assert Setting().of_discriminator() == Setting()
    # As written to run.json and read again.
    assert Setting.model_validate(both.model_dump(mode="json")) == both
    assert "discriminator_optimiser" not in Setting().changed(), "ids of earlier runs stay"


@pytest.mark.parametrize(("numbers", "at_once"), [(3, True), (2**20, False)])
def test_rmsprop_takes_all_parameters_at_once_where_they_stay_in_caches(numbers: int, at_once: bool) -> None:
    optimiser = Setting(optimiser="rmsprop", lr=5e-5).build(net_of(nn.Parameter(torch.ones(numbers))), CPU)
    assert optimiser.param_groups[0]["foreach"] is at_once


def test_the_first_iterations_of_wgan_have_more_updates() -> None:
    setting = Setting(n_dis=5, n_dis_start=100)
    many = [iteration for iteration in range(1600) if setting.n_dis_at(iteration) == 100]
    assert many == [*range(25), 500, 1000, 1500]
    assert {setting.n_dis_at(iteration) for iteration in range(1600)} == {5, 100}
    assert {Setting(n_dis=5).n_dis_at(iteration) for iteration in range(30)} == {5}
