"""Critics in training: what must not depend on the constraint, and what a run keeps."""

import copy
import io
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from small_transport_task import FUNNELS, translation, transport
from torch import Tensor, nn

from lipschitz.constraints.base import CONSTRAINTS, Constraint, Refusal
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.orthogonal import Orthogonal
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.models.activations import Activation
from lipschitz.observe import LENGTH
from lipschitz.random_streams import stream
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.transport.potential import METRICS

METHODS: list[Callable[[], Constraint]] = [
    WeightClipping,
    GradientPenalty,
    SpectralNormalization,
    Orthogonal,
]

SEEN: list[tuple[Tensor, Tensor]] = []


class Spy(Constraint):
    """Remembers the batches that the critic saw."""

    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"
    source: ClassVar[str] = "this test"

    def penalty(self, net: Any, batch: Any, rng: torch.Generator) -> Tensor:
        SEEN.append((batch.real.clone(), batch.fake.clone()))
        return super().penalty(net, batch, rng)


def seen_by(*constraints: Constraint, seed: int = 0, evaluated: bool = False) -> list[tuple[Tensor, Tensor]]:
    SEEN.clear()
    task = transport(*constraints, Spy(), seed=seed)
    for progress in (0.0, 0.3, 0.6):
        task.step(progress)
        if evaluated:
            task.evaluate("a")
            task.keep_for_next_evaluation()
    return list(SEEN)


@pytest.mark.parametrize("method", METHODS)
def test_methods_see_the_same_batches(method: Callable[[], Constraint]) -> None:
    ours, theirs = seen_by(method(), evaluated=True), seen_by()
    assert len(ours) == 3
    for (real, fake), (other_real, other_fake) in zip(ours, theirs, strict=True):
        assert torch.equal(real, other_real)
        assert torch.equal(fake, other_fake)


@pytest.mark.parametrize("method", METHODS)
def test_methods_start_from_the_same_raw_parameters(method: Callable[[], Constraint]) -> None:
    ours, theirs = transport(method()).critic, transport().critic
    pairs = list(zip(weighted_layers(ours), weighted_layers(theirs), strict=True))
    assert len(pairs) == 3
    for (_, layer), (_, other) in pairs:
        assert torch.equal(raw_weight(layer), raw_weight(other))
        assert torch.equal(layer.bias, other.bias)


def test_the_critic_s_initial_weights_are_the_model_s_own() -> None:
    # From the stream of weights, whatever was drawn before from torch's global generator, which is put back.
    torch.manual_seed(1)
    first = transport().critic.state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = transport().critic.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    other = transport(seed=1).critic.state_dict()
    assert not torch.equal(other["output.weight"], first["output.weight"])


def test_batches_are_independent_float32_draws_of_p_and_q() -> None:
    (first, again), (second, _), _ = seen_by()
    rng = stream(0, "data")
    source, target = FUNNELS.source(32, rng), FUNNELS.target(32, rng)
    assert torch.equal(first, source), "P is what the critic calls real"
    assert torch.equal(again, target)
    assert first.dtype == again.dtype == torch.float32
    assert not torch.allclose(FUNNELS.move(again), first), "not rows of the optimal plan"
    assert not torch.equal(first, second)
    assert not torch.equal(seen_by(seed=1)[0][0], first)


@pytest.mark.parametrize("data", [FUNNELS, translation()], ids=["funnels", "translation"])
def test_training_climbs_towards_the_optimal_potential(data: PairData) -> None:
    task = transport(GradientPenalty(), data=data, setting=Setting(lr=1e-2, betas=(0.0, 0.9)))
    before = task.evaluate("a")
    for _ in range(200):
        task.step(0.0)
    after = task.evaluate("a")
    assert after["cosine"] > 0.5 > before["cosine"]
    assert after["w1_dual"] > 0.3 * data.w1
    assert after["w1_error"] < before["w1_error"]


def test_the_loss_is_the_negative_dual_on_the_last_batch() -> None:
    task = transport()
    weights = copy.deepcopy(task.critic)
    task.step(0.0)
    rng = stream(0, "data")
    source, target = FUNNELS.source(32, rng), FUNNELS.target(32, rng)
    expected = weights(target).mean() - weights(source).mean()
    assert task.evaluate("a")["loss/discriminator"] == pytest.approx(expected.item(), rel=1e-5)


class Hooked(Constraint):
    """Says when it was called, with what weight, and whether gradients were recorded."""

    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "none"
    source: ClassVar[str] = "this test"

    def update(self, net: nn.Module) -> None:
        self._called("update", net)

    def penalty(self, net: nn.Module, batch: Any, rng: torch.Generator) -> Tensor:
        self._called("penalty", net)
        return net.output.weight.sum() * 1e3  # type: ignore[union-attr,operator,return-value]

    def project(self, net: nn.Module) -> None:
        self._called("project", net)
        net.output.weight.add_(100)  # type: ignore[union-attr,operator]

    def _called(self, hook: str, net: nn.Module) -> None:
        CALLS.append((hook, net.output.weight.detach().clone(), torch.is_grad_enabled()))  # type: ignore[union-attr,operator]


CALLS: list[tuple[str, Tensor, bool]] = []


def test_a_method_s_hooks_stand_around_the_optimiser_s_step() -> None:
    CALLS.clear()
    task = transport(Hooked())
    before = task.critic.output.weight.detach().clone()  # type: ignore[union-attr,operator]
    task.step(0.0)
    assert [hook for hook, *_ in CALLS] == ["update", "penalty", "project"]
    assert [recorded for *_, recorded in CALLS] == [False, True, False]
    (_, at_update, _), (_, at_penalty, _), (_, at_projection, _) = CALLS
    assert torch.equal(at_update, before)
    assert torch.equal(at_penalty, before)
    # Adam's first step is by the learning rate, here down the penalty's slope, which outweighs all else.
    torch.testing.assert_close(at_projection, before - 1e-3)
    assert torch.equal(task.critic.output.weight, at_projection + 100)  # type: ignore[union-attr]
    assert abs(task.evaluate("a")["loss/discriminator"]) < 10, "the loss that is shown has no penalty"


def test_an_iteration_is_one_update() -> None:
    task = transport()
    for steps in (1, 2):
        task.step(0.0)
        assert task.state_dict()["critic"]["optimiser"]["state"][0]["step"] == steps
    ((name, part),) = task.parts().items()
    assert name == "ms_discriminator_step"
    part()
    assert task.state_dict()["critic"]["optimiser"]["state"][0]["step"] == 3


def test_linear_decay_scales_the_learning_rate() -> None:
    task = transport(setting=Setting(lr=1e-3, decay="linear"))
    task.step(0.75)
    assert task.state_dict()["critic"]["optimiser"]["param_groups"][0]["lr"] == pytest.approx(2.5e-4)


@pytest.mark.parametrize("method", [SpectralNormalization, Orthogonal])
def test_measuring_changes_nothing(method: Callable[[], Constraint]) -> None:
    ours, theirs = transport(method()), transport(method())
    for task in (ours, theirs):
        task.step(0.0)
    ours.evaluate("a")
    ours.arrays()
    ours.facts()
    for task in (ours, theirs):
        task.step(0.5)
    other = theirs.critic.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in ours.critic.state_dict().items())
    assert ours.critic.training


def test_an_evaluation_draw_repeats_and_another_differs() -> None:
    task = transport()
    assert task.evaluate("a") == task.evaluate("a")
    assert task.evaluate("a")["w1_dual"] != task.evaluate("b")["w1_dual"]


def test_what_is_measured_has_the_documented_names() -> None:
    values = transport().evaluate("a")
    layers = ["blocks.0.linear", "blocks.1.linear", "output"]
    expected = {
        *METRICS,
        "loss/discriminator",
        "loss_mean/discriminator",
        "lipschitz_lower",
        "lipschitz_upper",
        "lipschitz_upper_product",
        "lipschitz_ratio",
    }
    of_layers = ("sigma_reshaped", "sigma_operator", "sigma_upper", "effective_rank")
    expected |= {f"{metric}/{layer}" for metric in of_layers for layer in layers}
    places = ("real", "fake", "interpolated")
    expected |= {f"{norm}/{place}" for norm in ("gradient_norm", "gradient_norm_max") for place in places}
    assert set(values) == expected
    for bound in ("lower", "upper"):
        assert values[f"w1_over_{bound}"] == pytest.approx(values["w1_dual"] / values[f"lipschitz_{bound}"])


@pytest.mark.parametrize("method", [NoConstraint, SpectralNormalization, Orthogonal, GradientPenalty])
def test_state_round_trip_goes_on_bit_for_bit(method: Callable[[], Constraint]) -> None:
    task = transport(method())
    task.step(0.0)
    task.evaluate("a")
    task.keep_for_next_evaluation()
    task.step(0.1)
    # As a checkpoint does it: through a file from which nothing but tensors, numbers and strings is read.
    file = io.BytesIO()
    torch.save(task.state_dict(), file)
    file.seek(0)
    other = transport(method())
    other.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    for one in (task, other):
        one.step(0.5)
    assert task.evaluate("b") == other.evaluate("b")
    for one in (task, other):
        one.keep_for_next_evaluation()
    ours, theirs = task.arrays(), other.arrays()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("method", [SpectralNormalization, Orthogonal])
def test_a_snapshot_brings_back_all_that_is_measured(method: Callable[[], Constraint]) -> None:
    task = transport(method())
    task.step(0.0)
    task.evaluate("first")
    task.keep_for_next_evaluation()
    before, drawn, snapshot = task.evaluate("a"), task.arrays(), task.snapshot()
    for _ in range(3):
        task.step(0.5)
    task.keep_for_next_evaluation()
    assert task.evaluate("a") != before
    task.load_snapshot(snapshot)
    assert task.evaluate("a") == before
    assert drawn.keys() == task.arrays().keys()
    assert all(np.array_equal(drawn[name], array) for name, array in task.arrays().items())
    # The optimiser and the streams go on.
    assert task.state_dict()["critic"]["optimiser"]["state"][0]["step"] == 4


def test_not_a_number_is_noticed() -> None:
    task = transport()
    task.step(0.0)
    assert task.is_finite()
    with torch.no_grad():
        task.critic.output.bias[0] = torch.nan  # type: ignore[union-attr,index]
    assert not task.is_finite()


@pytest.mark.parametrize("loss", [torch.nan, torch.inf, -torch.inf])
def test_a_loss_that_is_not_finite_is_noticed(loss: float) -> None:
    task = transport()
    snapshot = task.snapshot()
    losses = {"values": torch.full((LENGTH,), loss), "written": torch.tensor([1])}
    task.load_snapshot({**snapshot, "critic": {**snapshot["critic"], "losses": losses}})
    assert not task.is_finite()
    task.load_snapshot(snapshot)
    assert task.is_finite()


def test_a_run_is_judged_by_its_metric_s_own_direction() -> None:
    assert transport().selection.improves(0.9, 0.8)
    assert transport(selection="l2").selection.improves(0.8, 0.9)


def test_arrays_of_a_pair_in_the_plane() -> None:
    task = transport()
    for draw in ("a", "b"):
        task.evaluate(draw)
        task.keep_for_next_evaluation()
        task.step(0.0)
    arrays = task.arrays()
    assert arrays["surface"].shape == arrays["surface_true"].shape == (96, 96)
    xmin, xmax, ymin, ymax = map(float, arrays["surface_extent"])
    corners = torch.tensor([[xmin, ymin], [xmax, ymin], [xmin, ymax]])
    with torch.no_grad():
        for name, function in (("surface", task.critic), ("surface_true", FUNNELS.potential)):
            shown = torch.from_numpy(arrays[name][[0, 0, -1], [0, -1, 0]])
            torch.testing.assert_close(shown, function(corners).flatten())
    assert arrays["source"].shape == arrays["target"].shape == (1000, 2)
    assert arrays["source"].dtype == arrays["target"].dtype == np.float32
    moved = FUNNELS.move(torch.from_numpy(arrays["target"]).double()).numpy()
    np.testing.assert_allclose(arrays["source"], moved, atol=1e-4)
    assert arrays["spectra/blocks.0.linear"].shape == (2, 2)
    assert np.array_equal(arrays["spectrum/blocks.0.linear"], arrays["spectra/blocks.0.linear"][1])


def test_of_other_pairs_only_spectra_are_drawn() -> None:
    task = transport(data=translation())
    assert task.arrays() == {}
    task.evaluate("a")
    task.keep_for_next_evaluation()
    layers = ("blocks.0.linear", "blocks.1.linear", "output")
    assert set(task.arrays()) == {f"{kind}/{layer}" for kind in ("spectrum", "spectra") for layer in layers}


@pytest.mark.parametrize("activation", ["relu", "full_sort"])
@pytest.mark.parametrize("kind", CONSTRAINTS.values(), ids=CONSTRAINTS.keys())
def test_every_method_makes_a_step_on_the_critic(kind: type[Constraint], activation: Activation) -> None:
    try:
        task = transport(kind(), data=translation(), activation=activation)
    except Refusal as reason:
        pytest.skip(str(reason))
    before = [parameter.detach().clone() for parameter in task.critic.parameters()]
    task.step(0.0)
    assert task.is_finite()
    after = task.critic.parameters()
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
