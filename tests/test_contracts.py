"""Contracts of every constraint on every model. Both are found by discovery, so a new file is tested, too."""

import copy
import pickle
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.testing import assert_close

from lipschitz.constraints.base import CONSTRAINTS, Batch, Constraint, Refusal, constrain
from lipschitz.constraints.batch_dependence import batch_dependent
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.estimation.lower_bound.search import lower_bound
from lipschitz.models.base import MODELS, PairModel
from lipschitz.random_streams import stream
from lipschitz.tasks.measurement import measure_discriminator

# The critic consists of the perceptron's modules, so it is left out.
MODELS = {name: kind for name, kind in MODELS.items() if issubclass(kind, PairModel)}
SHAPES = {"points": (2,), "images": (2, 8, 8)}
SMALL = MappingProxyType({"dcgan": {"width": 4}, "mlp": {"width": 16}, "resnet": {"width": 4}})
PAIRS = {"points": 2_000, "images": 200}
"""Random pairs of samples. On images the search for a lower bound finds pairs that are ten times steeper."""
N = 6


@pytest.fixture(params=CONSTRAINTS)
def kind(request: pytest.FixtureRequest) -> type[Constraint]:
    return CONSTRAINTS[request.param]


@pytest.fixture
def constraint(kind: type[Constraint]) -> Constraint:
    return kind()


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Any:
    return MODELS[request.param](**SMALL.get(request.param, {}))


def plain(model: Any, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return model.build(SHAPES[model.kind]).discriminator


def wrapped(constraint: Constraint, model: Any, seed: int = 0) -> nn.Module:
    try:
        return constrain(plain(model, seed), [constraint], SHAPES[model.kind])
    except Refusal as reason:
        if constraint.name() not in str(reason):
            pytest.fail(f"a refusal names its method: {reason}")
        pytest.skip(f"{model.label()}: {reason}")


def samples(model: Any, seed: int = 0) -> Tensor:
    return torch.randn(N, *SHAPES[model.kind], generator=torch.Generator().manual_seed(seed))


def batch(model: Any, dtype: torch.dtype = torch.float32) -> Batch:
    labels = torch.arange(N) % 2
    return Batch(samples(model, 1).to(dtype), samples(model, 2).to(dtype), labels)


def judged(net: nn.Module, model: Any, dtype: torch.dtype = torch.float32) -> Batch:
    """Return the batch with the outputs of the loss's forward pass."""
    seen = batch(model, dtype)
    assert seen.fake is not None
    return seen._replace(real_outputs=net(seen.real), fake_outputs=net(seen.fake))


def rng() -> torch.Generator:
    return stream(0, "constraint")


def train(constraint: Constraint, net: nn.Module, model: Any, steps: int = 1) -> None:
    """Make discriminator steps in the order of the task: update, outputs, penalty, optimiser, projection."""
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    generator = rng()
    for _ in range(steps):
        with torch.no_grad():
            constraint.update(net)
        seen = judged(net, model, next(net.parameters()).dtype)
        real, fake = seen.outputs("a step")
        with torch.no_grad():
            constraint.track(net, seen)
        loss = fake.mean() - real.mean() + constraint.penalty(net, seen, generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            constraint.project(net)


def raw_parameters(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, layer in weighted_layers(net):
        yield f"{name}.weight", raw_weight(layer)
        if layer.bias is not None:
            yield f"{name}.bias", layer.bias


def buffers(net: nn.Module) -> dict[str, Tensor]:
    """Return the buffers of the methods, without the running statistics of batch normalisation."""
    statistics = tuple(f"{name}." for name in batch_dependent(net))
    return {name: value.clone() for name, value in net.named_buffers() if not name.startswith(statistics)}


def test_the_five_methods_are_there() -> None:
    expected = {"none", "weight_clipping", "gradient_penalty", "spectral_regularization", "spectral_normalization"}
    assert expected <= set(CONSTRAINTS)


def test_initial_raw_parameters_equal_those_of_the_bare_network(constraint: Constraint, model: Any) -> None:
    bare = dict(raw_parameters(plain(model)))
    for net in (wrapped(constraint, model), wrapped(constraint, model)):
        raw = dict(raw_parameters(net))
        assert raw.keys() == bare.keys()
        assert all(torch.equal(raw[name], bare[name]) for name in bare)


def test_a_reparametrisation_says_whether_it_ignores_the_scale_of_the_weights(constraint: Constraint) -> None:
    model = MODELS["mlp"]()
    ours, scaled = wrapped(constraint, model), wrapped(constraint, model)
    with torch.no_grad():
        for _, layer in weighted_layers(scaled):
            raw_weight(layer).mul_(3)
    pairs = zip(weighted_layers(ours), weighted_layers(scaled), strict=True)
    same = [torch.allclose(one.weight, other.weight, rtol=1e-5, atol=1e-7) for (_, one), (_, other) in pairs]
    assert same == [constraint.scale_invariant] * len(same)


SCALE_INVARIANT = [kind for kind in CONSTRAINTS.own.values() if kind.scale_invariant]


def test_two_methods_that_ignore_the_scale_of_the_weights_are_refused() -> None:
    first = SCALE_INVARIANT[0]
    for other in SCALE_INVARIANT[1:]:
        for pair in ([first(), other()], [other(), first()]):
            with pytest.raises(Refusal, match=f"{pair[0].name()} and {pair[1].name()} both normalise every weight"):
                constrain(plain(MODELS["mlp"]()), pair, SHAPES["points"])


def test_a_step_changes_the_weights_and_keeps_them_finite(constraint: Constraint, model: Any) -> None:
    net = wrapped(constraint, model)
    before = {name: value.detach().clone() for name, value in raw_parameters(net)}
    train(constraint, net, model)
    for name, value in raw_parameters(net):
        assert torch.isfinite(value).all()
        if name.endswith("weight"):
            assert not torch.equal(value, before[name]), name
    assert torch.isfinite(net(samples(model))).all()


def test_the_penalty_is_a_finite_scalar_of_the_batch_s_dtype(constraint: Constraint, model: Any) -> None:
    for dtype in (torch.float32, torch.float64):
        net = wrapped(constraint, model).to(dtype)
        penalty = constraint.penalty(net, judged(net, model, dtype), rng())
        assert penalty.shape == ()
        assert penalty.dtype == dtype
        assert torch.isfinite(penalty)
        assert penalty >= 0


def test_the_penalty_depends_on_network_batch_and_stream_only(constraint: Constraint, model: Any) -> None:
    net, state = wrapped(constraint, model), torch.get_rng_state()
    first, second = (constraint.penalty(net, judged(net, model), rng()) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state), "a penalty draws from its own stream only"


def test_the_state_dict_restores_the_network_and_the_method(constraint: Constraint, model: Any) -> None:
    net = wrapped(constraint, model)
    train(constraint, net, model, steps=2)
    other = wrapped(constraint, model, seed=1)
    assert not torch.equal(net(samples(model)), other(samples(model)))
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(samples(model)), other(samples(model)))
    # A part of the state that is missing in the state dict would change this step.
    for each in (net, other):
        train(constraint, each, model)
    assert torch.equal(net(samples(model)), other(samples(model)))


def test_the_first_call_in_eval_mode_equals_the_second_and_that_in_train_mode(
    constraint: Constraint, model: Any
) -> None:
    evaluated = wrapped(constraint, model).eval()
    first = evaluated(samples(model))
    assert torch.equal(first, evaluated(samples(model)))
    # Batch normalisation computes another function in train mode.
    if not any(batch_dependent(evaluated)):
        assert torch.equal(first, wrapped(constraint, model).train()(samples(model)))


def test_a_deep_copy_is_equal_and_independent(constraint: Constraint, model: Any) -> None:
    net = wrapped(constraint, model)
    train(constraint, net, model)
    twin = copy.deepcopy(net)
    before = net(samples(model)).detach()
    assert torch.equal(before, twin(samples(model)))
    train(constraint, twin, model)
    assert not torch.equal(before, twin(samples(model)))
    assert torch.equal(before, net(samples(model)))


def test_a_moving_average_of_weights_copies_the_method_s_buffers(constraint: Constraint, model: Any) -> None:
    net = wrapped(constraint, model)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    for _ in range(2):
        train(constraint, net, model)
        average.update_parameters(net)
    ours = dict(average.module.named_buffers())
    # The mean of two singular vectors is no singular vector.
    assert all(torch.equal(ours[name], value) for name, value in buffers(net).items())
    assert torch.isfinite(average(samples(model))).all()
    raw, averaged = (dict(raw_parameters(one)) for one in (net, average.module))
    assert any(not torch.equal(averaged[name], value) for name, value in raw.items())


def test_double_precision_before_or_after_wrapping(constraint: Constraint, model: Any) -> None:
    single = wrapped(constraint, model)(samples(model))
    for net in (
        constrain(plain(model).double(), [constraint], SHAPES[model.kind]),
        wrapped(constraint, model).double(),
    ):
        output = net(samples(model).double())
        assert output.dtype == torch.float64
        assert_close(output.float(), single, rtol=1e-4, atol=1e-5)
        train(constraint, net, model)
        assert all(value.dtype == torch.float64 for value in net.state_dict().values() if value.is_floating_point())


def elsewhere(net: nn.Module, device: str) -> list[str]:
    """Return the names of the tensors that do not lie on ``device``: of all modules, and any attribute of them."""
    found = dict(net.named_parameters()) | dict(net.named_buffers())
    for name, module in net.named_modules():
        found |= {f"{name}.{key}": value for key, value in vars(module).items() if isinstance(value, Tensor)}
    return [name for name, value in found.items() if value.device.type != device]


def test_all_that_a_method_adds_lies_where_the_network_lies(constraint: Constraint, model: Any) -> None:
    # On the CPU, where torch puts what is given no device, a method that names none would pass.
    net = plain(model).to("meta")
    try:
        net = constrain(net, [constraint], SHAPES[model.kind])
    except Refusal as reason:
        pytest.skip(f"{model.label()}: {reason}")
    assert not elsewhere(net, "meta")


class OnTheCpu(Constraint):
    """Adds a module, which torch puts on the CPU."""

    source, promise = "this test", "none"

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(net, nn.BatchNorm1d(1))


def test_a_module_on_the_cpu_is_noticed() -> None:
    net = constrain(nn.Linear(2, 1, device="meta"), [OnTheCpu()], (2,))
    names = ["1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"]
    assert elsewhere(net, "meta") == names


@pytest.mark.usefixtures("brief_bracket")
def test_only_update_track_and_project_write_buffers(constraint: Constraint, model: Any) -> None:
    net = wrapped(constraint, model)
    # After a step the stored vectors are not those of the weights, so advancing them would change them.
    train(constraint, net, model)
    before = buffers(net)
    (net(samples(model)).mean() + constraint.penalty(net, judged(net, model), rng())).backward()
    net.eval()(samples(model))
    if before:  # A measurement of a network in which a method keeps nothing has nothing to write to.
        measure_discriminator(net, dict.fromkeys(("real", "fake", "interpolated"), samples(model)))
    after = buffers(net)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", [n for n, k in CONSTRAINTS.items() if k.promise == "certified"], indirect=True)
def test_a_certified_method_is_1_lipschitz_on_pairs_of_points(constraint: Constraint, model: Any) -> None:
    net = wrapped(constraint, model)
    train(constraint, net, model, steps=3)
    with float64_copy(net) as twin:
        near = torch.Generator().manual_seed(0)
        x = torch.randn(PAIRS[model.kind], *SHAPES[model.kind], generator=near, dtype=torch.float64)
        y = x + torch.randn(x.shape, generator=near, dtype=torch.float64) * torch.logspace(-4, 1, len(x)).view(
            -1, *(1,) * (x.dim() - 1)
        )
        quotients = (twin(x) - twin(y)).flatten(1).norm(dim=1) / (x - y).flatten(1).norm(dim=1)
        # Every layer is 1-Lipschitz by default, so the network is, too.
        assert quotients.max() <= 1 + 1e-6
        assert lower_bound(twin, x[:32], near).value <= 1 + 1e-6


def test_the_config_is_frozen_and_strict_and_can_be_pickled(constraint: Constraint, kind: type[Constraint]) -> None:
    with pytest.raises(ValidationError, match="nonsense"):
        kind(nonsense=1)
    for field, info in kind.model_fields.items():
        with pytest.raises(ValidationError, match=field):
            setattr(constraint, field, info.default)
        with pytest.raises(ValidationError, match=field):
            kind(**{field: object()})
    again = pickle.loads(pickle.dumps(constraint))
    assert again == constraint
    assert hash(again) == hash(constraint)


def test_the_config_has_a_name_source_promise_and_summary(constraint: Constraint, kind: type[Constraint]) -> None:
    assert CONSTRAINTS[constraint.name()] is kind
    assert kind.source
    assert kind.promise in {"certified", "heuristic", "none"}
    assert kind.summary().endswith(".")
    assert constraint.label() == constraint.entry() == constraint.name()
