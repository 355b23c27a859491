"""What may be asked of the generator: a batch and a learning rate of its own, constraints."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_terms import TERMS, with_terms
from torch.nn.utils import parametrize
from torch.testing import assert_close

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.datasets.images.digits import Digits
from lipschitz.errors import InputError
from lipschitz.estimation.layers import raw_weight, reshaped_weight, weighted_layers
from lipschitz.models.resnet import ResNet
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.settings import Setting

CPU = torch.device("cpu")
SWEEP = """\
name: small
task: generation
datasets: [digits]
models: [{resnet: {width: 4}}]
constraints: [spectral_normalization]
generator_constraints: [spectral_normalization]
settings: [{lr: 1e-4, discriminator_lr: 4e-4, betas: [0.0, 0.9]}]
seeds: [0]
training: {steps: 4, batch_size: 4, generator_batch_size: 8}
"""


RESNET = with_terms(
    TERMS, model=ResNet(width=4), setting=Setting(betas=(0.0, 0.9)), batch_size=4, samples=8, gradient_samples=4
)


def task(**asked: Any) -> GANTraining:
    return GANTraining(Digits().load(None, CPU), with_terms(RESNET, **asked))


def state(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def test_the_generator_learns_on_a_batch_of_its_own_size() -> None:
    seen: list[int] = []
    built = task(generator_batch_size=10)
    built.generator.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    built.step(0.0)
    assert seen == [4, 10]


def test_a_larger_batch_of_the_generator_changes_nothing_that_the_discriminator_sees() -> None:
    ours, theirs = task(generator_batch_size=10), task()
    for one in (ours, theirs):
        one.discriminator_step()
    for a, b in zip(ours.discriminator.parameters(), theirs.discriminator.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_discriminator_may_have_a_rate_of_its_own() -> None:
    built = task(setting=Setting(lr=1e-4, discriminator_lr=4e-4, betas=(0.0, 0.9), decay="linear"))
    built.step(0.75)
    players = built.state_dict()["players"]
    rates = {name: player["optimiser"]["param_groups"][0]["lr"] for name, player in players.items()}
    assert rates == {"discriminator": pytest.approx(1e-4), "generator": pytest.approx(2.5e-5)}


def test_spectral_normalization_in_the_generator() -> None:
    plain, built = task(), task(generator_constraints=(SpectralNormalization(),))
    layers = dict(weighted_layers(built.generator))
    for name, layer in weighted_layers(plain.generator):
        assert torch.equal(raw_weight(layers[name]), raw_weight(layer)), "both start from the same raw parameters"
    for _ in range(20):
        built.step(0.0)
    for layer in layers.values():
        assert parametrize.is_parametrized(layer)
        assert_close(float(torch.linalg.matrix_norm(reshaped_weight(layer).detach(), 2)), 1.0, rtol=0.2, atol=0)
    assert not any(parametrize.is_parametrized(layer) for _, layer in weighted_layers(built.discriminator))


def test_a_generator_step_advances_the_generator_s_power_iteration_and_not_the_discriminator_s() -> None:
    built = task(constraints=(SpectralNormalization(),), generator_constraints=(SpectralNormalization(),))
    built.discriminator_step()
    generator, discriminator = state(built.generator), state(built.discriminator)
    # A layer of one row or column has a vector of one entry, which no power iteration changes.
    vectors = [name for name, value in generator.items() if name.endswith((".u", ".v")) and value.numel() > 1]
    assert {name[-2:] for name in vectors} == {".u", ".v"}
    built.generator_step()
    after = state(built.generator)
    assert [name for name in vectors if torch.equal(after[name], generator[name])] == []
    for name, value in state(built.discriminator).items():
        assert torch.equal(value, discriminator[name]), name


def test_a_discriminator_step_leaves_the_generator_s_power_iteration_alone() -> None:
    built = task(generator_constraints=(SpectralNormalization(),))
    before = state(built.generator)
    built.discriminator_step()
    after = state(built.generator)
    for name in before:
        if name.endswith((".u", ".v")):
            assert torch.equal(after[name], before[name]), name


def test_a_projection_acts_after_the_generator_s_update() -> None:
    built = task(generator_constraints=(WeightClipping(c=0.01),))
    built.step(0.0)
    assert max(float(layer.weight.detach().abs().max()) for _, layer in weighted_layers(built.generator)) <= 0.01 + 1e-9


def test_state_round_trip_of_a_constrained_generator() -> None:
    ours, theirs = (task(generator_constraints=(SpectralNormalization(),)) for _ in range(2))
    ours.step(0.0)
    theirs.load_state_dict(ours.state_dict())
    for a, b in zip(ours.generator.state_dict().values(), theirs.generator.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_average_of_the_generator_s_weights_by_hand() -> None:
    built = task(ema=0.75, generator_constraints=(SpectralNormalization(),))
    expected = [parameter.detach().clone() for parameter in built.generator.parameters()]
    for _ in range(3):
        built.step(0.0)
        expected = [0.75 * a + 0.25 * w.detach() for a, w in zip(expected, built.generator.parameters(), strict=True)]
    state = built.state_dict()["players"]["generator"]
    names = [name for name, _ in built.generator.named_parameters()]
    for name, value in zip(names, expected, strict=True):
        assert_close(state["average"][name], value)
    for name, _ in built.generator.named_buffers():
        assert torch.equal(state["average"][name], state["net"][name])


def test_an_average_that_starts_later_equals_the_weights_until_then() -> None:
    built, resumed = task(ema=0.75, ema_start=2), task(ema=0.75, ema_start=2)
    weights = list(built.generator.parameters())
    for _ in range(2):
        built.step(0.0)
        average = built.networks()["average"]
        assert all(torch.equal(a, w) for a, w in zip(average.parameters(), weights, strict=True))
    expected = [weight.detach().clone() for weight in weights]
    resumed.load_state_dict(copy.deepcopy(built.state_dict()))
    for one in (built, resumed):
        one.step(0.0)
    for a, b, w, c in zip(
        built.networks()["average"].parameters(),
        resumed.networks()["average"].parameters(),
        weights,
        expected,
        strict=True,
    ):
        assert_close(a, 0.75 * c + 0.25 * w.detach())
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("ema_start: 2", "ema_start 2 without ema; allowed: both, or neither"),
        ("ema: 0.9, ema_start: 4", "ema_start 4 of 4 steps; allowed: less than steps"),
    ],
)
def test_a_start_without_an_average_is_refused(tmp_path: Path, training: str, message: str) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP.replace("steps: 4,", f"steps: 4, {training},"))
    with pytest.raises(InputError, match=message):
        load_sweep(path)


def test_the_average_is_judged_apart_and_changes_nothing_else() -> None:
    plain, built = task(), task(ema=0.9)
    for one in (plain, built):
        for _ in range(2):
            one.step(0.0)
    alone, both = plain.evaluate("a"), built.evaluate("a")
    assert {name: both[name] for name in alone} == alone
    apart = set(both) - set(alone)
    assert apart == {f"{name}_classifier/ema" for name in ("frechet", "w1", "kid")}
    assert both["frechet_classifier/ema"] != both["frechet_classifier"]
    facts = built.facts()
    assert facts["floor"]["frechet_classifier/ema"] == facts["floor"]["frechet_classifier"]
    assert facts["protocols"]["w1_classifier/ema"]["generator"] == "moving average of its weights, decay 0.9"


def test_the_average_goes_round() -> None:
    ours, theirs = task(ema=0.9), task(ema=0.9)
    ours.step(0.0)
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    snapshot = ours.snapshot()
    for one in (ours, theirs):
        one.step(0.5)
    assert ours.evaluate("a") == theirs.evaluate("a")
    after = ours.evaluate("b")
    ours.load_snapshot(snapshot)
    assert ours.evaluate("b")["frechet_classifier/ema"] != after["frechet_classifier/ema"]


def test_what_a_sweep_says_of_the_generator(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    (run,) = load_sweep(path).runs
    assert run.generator_constraints == (SpectralNormalization(),)
    assert run.training.generator_batch_size == 8
    assert run.labels()["model"] == "resnet(width=4) with spectral_normalization in G"
    assert run.labels()["constraint"] == "spectral_normalization"
    path.write_text(SWEEP.replace("generator_constraints: [spectral_normalization]\n", ""))
    (plain,) = load_sweep(path).runs
    path.write_text(SWEEP.replace("generator_constraints: [spectral_normalization]", "generator_constraints: none"))
    assert load_sweep(path).runs == (plain,)
    # The id says them by its digits too: its readable part is cut.
    assert run.canonical() == plain.canonical() | {"generator_constraints": run.canonical()["constraints"]}
    assert plain.id[-8:] != run.id[-8:]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "generator_constraints: [spectral_normalization]",
            "generator_constraints: [gradient_penalty]",
            "small.yaml:6: generator_constraints: .*gradient_penalty adds a penalty to the discriminator's loss",
        ),
        (
            "generator_constraints: [spectral_normalization]",
            "generator_constraints: [gradient_normalization]",
            "small.yaml:6: generator_constraints: .*gradient_normalization works with the gradient of each sample",
        ),
        (
            "models: [{resnet: {width: 4}}]\nconstraints: [spectral_normalization]\n"
            "generator_constraints: [spectral_normalization]",
            "models: [{mlp: {width: 4}}]\nconstraints: [none]\ngenerator_constraints: [gradient_normalization]",
            "not supported on a generator: gradient_normalization is defined for one output per sample",
        ),
        (
            "generator_constraints: [spectral_normalization]",
            "generator_constraints: [nonsense]",
            "small.yaml:6: generator_constraints: unknown constraint 'nonsense'",
        ),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "small.yaml"
    text = SWEEP.replace(old, new)
    if "mlp" in new:
        text = text.replace("[digits]", "[eight_gaussians]")
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_sweep(path)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("generator_constraints: [spectral_normalization]", "generator_constraints: .*transport has no generator"),
        ("", "training: .*transport has no generator; generator_batch_size is not supported"),
    ],
)
def test_transport_has_no_generator(tmp_path: Path, more: str, message: str) -> None:
    size = "" if more else ", generator_batch_size: 8"
    path = tmp_path / "pairs.yaml"
    path.write_text(
        "name: pairs\ntask: transport\ndatasets: [line]\nconstraints: [none]\nseeds: [0]\n"
        f"training: {{steps: 4{size}}}\n{more}\n"
    )
    with pytest.raises(InputError, match=message):
        load_sweep(path)


def test_a_resumed_run_counts_the_iterations_that_have_more_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipschitz.tasks.settings.STARTING", 2)
    ours, theirs = (task(setting=Setting(n_dis=1, n_dis_start=3)) for _ in range(2))
    assert ours.uncapturable_reason() == "its first iterations have another number of discriminator updates"
    made = []
    for one in (ours, theirs):
        step = one.discriminator_step
        monkeypatch.setattr(one, "discriminator_step", lambda one=one, step=step: (made.append(one), step()))
    ours.step(0.0)
    theirs.load_state_dict(ours.state_dict())
    for one in (theirs, ours):
        one.step(0.0)
        one.step(0.0)
    assert (made.count(ours), made.count(theirs)) == (3 + 3 + 1, 3 + 1)
    assert "iterations" not in task().state_dict()
