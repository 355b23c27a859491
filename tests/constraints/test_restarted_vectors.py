"""Spectral normalization whose power iteration starts anew before each update."""

from typing import Literal

import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import nn

from lipschitz.constraints.restarted_vectors import initial_state, restart_vector
from lipschitz.constraints.spectral_normalization import SpectralNormalization

SHAPE = (4, 4, 4)


def wrapped(method: SpectralNormalization) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(24, 3)).double()
    return method.wrap(net, SHAPE)


def test_ones_start_from_equal_entries() -> None:
    net = wrapped(SpectralNormalization(restart="ones"))
    SpectralNormalization(restart="ones").update(net)
    weight = net[2].parametrizations.weight.original.detach()
    v = nn.functional.normalize(weight.T @ torch.full((3,), 3**-0.5, dtype=torch.float64), dim=0)
    u = nn.functional.normalize(weight @ v, dim=0)
    assert_allclose(net[2].parametrizations.weight[0].u, u, rtol=1e-10)
    assert_allclose(net[2].weight.detach(), weight / (u @ weight @ v), rtol=1e-10)


@pytest.mark.parametrize("operator", ["reshaped", "convolution", "bidirectional"])
def test_a_random_start_differs_each_time_and_one_step_is_too_small(
    operator: Literal["reshaped", "convolution", "bidirectional"],
) -> None:
    method = SpectralNormalization(operator=operator, restart="random")
    net, kept = wrapped(method), wrapped(SpectralNormalization(operator=operator))
    sigmas = []
    for _ in range(3):
        method.update(net)
        sigmas.append(float(torch.linalg.matrix_norm(net[0].weight.detach().flatten(1), 2)))
    exact = float(torch.linalg.matrix_norm(kept[0].weight.detach().flatten(1), 2))
    assert len(set(sigmas)) == 3
    assert min(sigmas) > 1.01 * exact


def test_a_checkpoint_goes_on_with_the_same_vectors() -> None:
    method = SpectralNormalization(restart="random")
    net, other = wrapped(method), wrapped(method)
    method.update(net)
    other.load_state_dict(net.state_dict())
    for one in (net, other):
        method.update(one)
    assert torch.equal(net[0].weight, other[0].weight)


def test_random_entries_are_uniform_and_independent() -> None:
    torch.manual_seed(0)
    vector = torch.empty(20_000, dtype=torch.float64)
    state, rows = initial_state(vector), []
    for _ in range(2):
        restart_vector(vector, state)
        assert float(vector.norm()) == pytest.approx(1, rel=1e-12)
        rows.append(vector / vector.abs().max())
    quantiles = torch.quantile(rows[1], torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64))
    assert_allclose(quantiles, [-0.8, 0, 0.8], atol=0.02)
    assert abs(float(torch.corrcoef(torch.stack(rows))[0, 1])) < 0.03
    assert abs(float(torch.corrcoef(torch.stack([rows[0][1:], rows[0][:-1]]))[0, 1])) < 0.03


def test_it_is_refused_where_forward_passes_advance() -> None:
    with pytest.raises(ValidationError, match="restart ones is of advance: update, not forward"):
        SpectralNormalization(restart="ones", advance="forward")
