"""Zero weights under every constraint: finite values and gradients; other weights keep every bit."""

from typing import Any

import pytest
import torch
from call_counters import Launches
from torch import Tensor, nn

from lipschitz.constraints.base import CONSTRAINTS, Batch, Constraint, constrain
from lipschitz.constraints.frobenius_normalization import FrobeniusNormalization, UnitFrobenius
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.normalized_weight import divide_by_sigma
from lipschitz.constraints.power_iteration import infinite_where_zero
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.spectral_projection import SpectralProjection
from lipschitz.constraints.weight_normalization import NormalizedUnits, WeightNormalization
from lipschitz.estimation.layers import raw_weight, weighted_layers

FIELDS: dict[str, list[dict[str, Any]]] = {
    "spectral_normalization": [{}, {"operator": "convolution"}],
    "weight_normalization": [{}, {"gain": True}],
    "spectral_projection": [{"norm_layers": True}, {"mode": "clip"}],
    "frobenius_penalty": [{"above": 0.5}],
    "spectral_cap": [{"mode": "soft"}, {"mode": "hard"}],
    "consistency_regularization": [{"shift": 1}],
}
METHODS = [
    kind(**fields)
    for name, kind in CONSTRAINTS.own.items()
    if name not in ("batch_normalization", "layer_normalization", "instance_normalization")
    for fields in FIELDS.get(name, [{}])
]
NORMALISING = [
    SpectralNormalization(),
    SpectralNormalization(operator="convolution", coefficient=2.0),
    FrobeniusNormalization(),
    WeightNormalization(),
    WeightNormalization(gain=True),
]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def net(*zero: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.ConvTranspose2d(3, 2, 2, 2),
        nn.Flatten(),
        nn.Linear(128, 4),
        nn.Linear(4, 1),
    )
    for index in zero:
        nn.init.zeros_(layers[index].weight)
    return layers


@pytest.mark.parametrize("zero", [(0, 4), (0, 2, 4, 5)], ids=["some", "all"])
@pytest.mark.parametrize("method", METHODS, ids=Constraint.label)
def test_training_from_zero_weights_stays_finite_and_moderate(method: Constraint, zero: tuple[int, ...]) -> None:
    constraints = [method] if method.name() == "gradient_penalty" else [method, GradientPenalty()]
    ours = constrain(net(*zero), constraints, (2, 4, 4))
    optimiser, rng = torch.optim.SGD(ours.parameters(), lr=1e-3), torch.Generator().manual_seed(0)
    for step in range(3):
        with torch.no_grad():
            method.update(ours)
        real, fake = draw(4, 2, 4, 4, seed=step), draw(4, 2, 4, 4, seed=step + 10)
        outputs = ours(real), ours(fake)
        batch = Batch(real, fake, None, *outputs)
        with torch.no_grad():
            method.track(ours, batch)
        loss = outputs[0].mean() - outputs[1].square().mean()
        loss = loss + sum(one.penalty(ours, batch, rng) for one in constraints)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            method.project(ours)
    assert all(torch.isfinite(value).all() for value in ours.state_dict().values())
    # Vectors of a power iteration that had become zero would make the first weights after zero explode.
    assert max(layer.weight.abs().max().item() for _, layer in weighted_layers(ours)) < 3


@pytest.mark.parametrize("method", NORMALISING, ids=Constraint.label)
def test_a_zero_weight_is_normalised_to_zero_with_a_zero_gradient(method: Constraint) -> None:
    ours = constrain(net(0, 4), [method], (2, 4, 4))
    output = ours(draw(4, 2, 4, 4)) + sum(layer.weight.sum() for _, layer in weighted_layers(ours))
    output.sum().backward()
    for index in (0, 4):
        assert not ours[index].weight.any()
        assert not raw_weight(ours[index]).grad.any()
    assert raw_weight(ours[2]).grad.any()


def test_one_zero_output_unit_leaves_the_others_as_they_are() -> None:
    layer = nn.Linear(3, 2, bias=False)
    layer.weight.data = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]])
    WeightNormalization(gain=True).wrap(layer, (3,))
    assert layer.weight.tolist() == [[0, 0, 0], [3, 0, 4]]
    layer.weight.sum().backward()
    assert not raw_weight(layer).grad[0].any()
    assert raw_weight(layer).grad[1].any()


def test_other_weights_keep_every_bit() -> None:
    for seed in range(20):
        weight, (u, v) = draw(4, 6, seed=seed), (draw(4, seed=seed + 50), draw(6, seed=seed + 90))
        assert torch.equal(divide_by_sigma(weight, u, v), weight / torch.dot(u, torch.mv(weight, v)))
        for c in (1.0, 0.3):
            assert torch.equal(UnitFrobenius(c)(weight), weight * (c / torch.linalg.vector_norm(weight)))
        layer = nn.Linear(6, 4)
        layer.weight.data = weight
        norms = torch.linalg.vector_norm(weight, dim=1, keepdim=True)
        assert torch.equal(NormalizedUnits(layer, gain=False)(weight), weight / norms)
        assert torch.equal(NormalizedUnits(layer, gain=True)(weight), weight * (norms / norms))
    norms = torch.tensor([0.0, 1e-45, 1e-12, 2.0])
    assert infinite_where_zero(norms).tolist() == [float("inf"), *norms[1:].tolist()]


def test_norms_become_divisors_in_one_launch_and_hide_no_nan() -> None:
    norms = torch.tensor([0.0, 2.0, torch.nan], requires_grad=True)
    with Launches() as launches:
        divisors = infinite_where_zero(norms)
    assert launches.count == 1
    assert divisors[2].isnan()
    (1 / divisors[:2]).sum().backward()
    assert norms.grad.tolist() == [0, -0.25, 0]


def test_a_zero_gamma_stays_zero_under_the_projection() -> None:
    ours = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    nn.init.zeros_(ours[1].weight)
    method = SpectralProjection(norm_layers=True)
    constrain(ours, [method], (2,))
    method.project(ours)
    assert ours[1].weight.tolist() == [0, 0]


@pytest.mark.parametrize("method", [SpectralProjection(), SpectralNormalization()], ids=Constraint.label)
def test_a_weight_that_was_zero_at_the_start_is_bounded_as_soon_as_it_is_not(method: Constraint) -> None:
    ours = constrain(net(0, 2, 4, 5), [method], (2, 4, 4))
    for _ in range(2):
        method.update(ours)
        method.project(ours)
    with torch.no_grad():
        for seed, (_, layer) in enumerate(weighted_layers(ours)):
            raw_weight(layer).copy_(draw(*layer.weight.shape, seed=seed))
    for _ in range(60):
        method.update(ours)
        method.project(ours)
    for _, layer in weighted_layers(ours):
        matrix = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
        assert torch.linalg.matrix_norm(matrix.flatten(1), 2).item() < 1.01
