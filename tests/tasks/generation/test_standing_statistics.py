"""Statistics of batch normalization for the average of a generator: by NumPy, and where they are used."""

import copy

import numpy as np
import pytest
import torch
from gan_terms import TERMS, with_terms
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.datasets.images.digits import Digits
from lipschitz.models.base import PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.generation.standing_statistics import has_running_statistics, with_standing_statistics

CPU = torch.device("cpu")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def trained(model: PairModel) -> GANTraining:
    task = GANTraining(Digits().load(None, CPU), with_terms(TERMS, model=model, ema=0.9, samples=64))
    for _ in range(2):
        task.step(0.0)
    return task


def test_they_are_the_mean_over_the_batches_and_the_network_is_unchanged() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5), nn.BatchNorm1d(2), nn.ReLU()).double()
    before = copy.deepcopy(net.state_dict())
    batches = [draw(8, 3, seed=seed) for seed in range(3)]
    ours = with_standing_statistics(net, ((batch,) for batch in batches))
    hidden = [net[0](batch).detach().numpy() for batch in batches]
    assert_allclose(ours[2].running_mean, np.mean([rows.mean(axis=0) for rows in hidden], axis=0), rtol=1e-12)
    assert_allclose(ours[2].running_var, np.mean([rows.var(axis=0, ddof=1) for rows in hidden], axis=0), rtol=1e-12)
    assert ours[2].momentum == 0.1
    assert not any(module.training for module in ours.modules())
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("norm", [nn.Identity(), nn.LayerNorm(2), nn.BatchNorm1d(2, track_running_stats=False)])
def test_other_layers_have_no_running_statistics(norm: nn.Module) -> None:
    assert not has_running_statistics(nn.Sequential(nn.Linear(2, 2), norm))


@pytest.mark.parametrize("conditional", [False, True])
def test_the_average_is_judged_by_statistics_of_its_own(conditional: bool) -> None:
    task = trained(DCGAN(width=4, conditional=conditional))
    kept, values = copy.deepcopy(task.state_dict()), task.evaluate("a")
    # What the raw generator has seen is replaced by numbers that would spoil every sample.
    for name, value in kept["players"]["generator"]["average"].items():
        if "running" in name:
            value.fill_(100.0)
    task.load_state_dict(kept)
    again = task.evaluate("a")
    assert {name: value for name, value in again.items() if name.endswith("/ema")} == {
        name: value for name, value in values.items() if name.endswith("/ema")
    }
    assert again["frechet_classifier"] == values["frechet_classifier"]
    assert task.evaluate("b")["frechet_classifier/ema"] != values["frechet_classifier/ema"]


def test_an_evaluation_leaves_the_average_and_every_stream_as_they_are() -> None:
    task = trained(DCGAN(width=4))
    before = copy.deepcopy(task.state_dict())
    task.evaluate("a")
    after = task.state_dict()
    for name, value in before["players"]["generator"]["average"].items():
        assert torch.equal(after["players"]["generator"]["average"][name], value), name
    for name, value in before["streams"].items():
        assert torch.equal(after["streams"][name], value), name


def test_the_facts_say_so() -> None:
    protocols = trained(DCGAN(width=4)).facts()["protocols"]
    assert protocols["w1_classifier/ema"]["batch statistics"] == "mean of 50 batches of 8 latents"
    assert "batch statistics" not in protocols["w1_classifier"]


def test_the_average_is_kept_with_statistics_of_its_own() -> None:
    task = trained(DCGAN(width=4))
    raw = copy.deepcopy(task.state_dict()["players"]["generator"]["average"])
    found = task.networks()["average"].state_dict()
    running = [name for name in raw if "running_mean" in name]
    assert running
    assert not any(torch.equal(found[name], raw[name]) for name in running)
    assert all(
        torch.equal(found[name], value) for name, value in raw.items() if "running" not in name and "num" not in name
    )
    assert all(torch.equal(value, found[name]) for name, value in task.networks()["average"].state_dict().items())
