"""Spectral cap against NumPy's SVD in float64: min(σ, c), the odd polynomial, and what keeps every bit."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import Tensor, nn

from lipschitz.constraints.base import constrain
from lipschitz.constraints.spectral_cap import GRAM_ITERATIONS, LARGEST_FOR_HARD, SpectralCap
from lipschitz.estimation.layers import raw_weight, reshaped_weight, weighted_layers
from lipschitz.estimation.upper_bound.gram_iteration import spectral_norm_bound
from lipschitz.tasks.settings import Setting


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_sigmas(*sigmas: float, rows: int = 4, columns: int = 6) -> np.ndarray:
    u, _, vh = np.linalg.svd(draw(rows, columns).numpy(), full_matrices=False)
    return u * np.array(sigmas) @ vh


def polynomial(x: np.ndarray, alpha: float) -> np.ndarray:
    p = x - alpha * x**3
    return p + alpha * p**3


@pytest.mark.parametrize(("rows", "columns"), [(4, 6), (6, 4), (4, 4)])
def test_the_hard_cap_is_the_smaller_of_sigma_and_c(rows: int, columns: int) -> None:
    matrix = with_sigmas(5.0, 2.5, 1.0, 0.1, rows=rows, columns=columns)
    capped = SpectralCap(mode="hard", c=2.0).capped(torch.from_numpy(matrix)).numpy()
    assert_allclose(capped, with_sigmas(2.0, 2.0, 1.0, 0.1, rows=rows, columns=columns), atol=1e-9)


@pytest.mark.parametrize("top", [20.0, 30.0, 80.0, 1000.0])
def test_the_hard_cap_holds_far_above_c(top: float) -> None:
    # 24 values around c, besides one far above: from 30 c on everything is divided first.
    sigmas = np.array([top, *np.linspace(1.3, 0.8, 24)])
    u, v = (torch.linalg.qr(draw(30, 25, seed=seed)).Q.numpy() for seed in (1, 2))
    capped = SpectralCap(mode="hard").capped(torch.from_numpy(u * sigmas @ v.T)).numpy()
    expected = np.minimum(sigmas / max(top / 30, 1), 1)
    assert_allclose(capped, u * expected @ v.T, atol=3e-5)


def test_the_soft_cap_by_hand() -> None:
    # k = 1.2 on the diagonal: y² (3 - 3 y + y²) = 1 - 1 / 1.2 has the root y = 0.271629, so α = y / 1.44.
    capped = SpectralCap().capped(torch.diag(torch.tensor([1.2, 0.6, -0.3, 0.0], dtype=torch.float64)))
    expected = polynomial(np.array([1.2, 0.6, -0.3, 0.0]), 0.271629 / 1.44)
    assert expected[0] == pytest.approx(1, abs=1e-6)
    assert_allclose(capped, np.diag(expected), atol=1e-6)
    assert capped[0, 0].item() == pytest.approx(1, abs=2e-9)


@example("hard", 1, 0.125, 7, 7)
@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["soft", "hard"]), st.integers(0, 1000), st.floats(0.1, 3), st.integers(1, 9), st.integers(1, 9))
def test_singular_vectors_stay_and_singular_values_fall(mode: Any, seed: int, c: float, m: int, n: int) -> None:
    matrix = draw(m, n, seed=seed)
    u, before, vh = torch.linalg.svd(matrix, full_matrices=False)
    capped = SpectralCap(mode=mode, c=c).capped(matrix)
    diagonal = u.T @ capped @ vh.T
    after = diagonal.diagonal()
    assert_allclose(diagonal, torch.diag(after), atol=1e-9)
    assert (after <= before + 1e-3 * c).all()
    if mode == "hard":
        # Where the bound k of the largest exceeds 30 c everything is divided first.
        k = float(spectral_norm_bound(matrix @ matrix.T, GRAM_ITERATIONS).sqrt())
        assert_allclose(after, (before / max(k / (LARGEST_FOR_HARD * c), 1)).clamp(max=c), atol=1e-3 * c)
    else:
        assert (after.diff() <= 1e-9).all(), "the order is kept"
        assert after[0] <= c * (1 + 1e-9)


def test_far_above_c_the_soft_cap_divides_first() -> None:
    sigmas = np.array([3.0, 1.0, 0.2, 0.05])
    capped = SpectralCap().capped(torch.from_numpy(with_sigmas(*sigmas)))
    expected = polynomial(sigmas / 3 * 81 / 62, (1 / 3) / (81 / 62) ** 2)
    assert expected[0] == pytest.approx(1, abs=1e-12)
    assert_allclose(capped, with_sigmas(*expected), atol=1e-3)


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_a_weight_inside_the_ball_keeps_every_bit_and_nan_stays(mode: Any) -> None:
    inside = torch.from_numpy(with_sigmas(0.98, 0.5, 0.2, 0.0)).float()
    assert torch.equal(SpectralCap(mode=mode).capped(inside), inside)
    assert not SpectralCap(mode=mode).capped(torch.zeros(3, 2)).any()
    assert SpectralCap(mode=mode).capped(torch.full((3, 2), torch.nan)).isnan().all()


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_every_kernel_is_capped_in_place_and_a_shared_one_once(mode: Any) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ConvTranspose2d(6, 2, 2), nn.Conv1d(3, 3, 2), nn.Linear(4, 4), nn.Linear(4, 4)
    ).double()
    layers[4].weight = layers[3].weight
    with torch.no_grad():
        for _, layer in weighted_layers(layers):
            nn.init.normal_(layer.weight)
    method = SpectralCap(mode=mode, c=0.7)
    before = [reshaped_weight(layer).detach().clone() for _, layer in weighted_layers(layers)]
    biases = [layer.bias.detach().clone() for _, layer in weighted_layers(layers)]
    parameters = [raw_weight(layer) for _, layer in weighted_layers(layers)]
    method.project(layers)
    for matrix, bias, parameter, (name, layer) in zip(before, biases, parameters, weighted_layers(layers), strict=True):
        assert torch.equal(reshaped_weight(layer), method.capped(matrix)), name
        assert not torch.equal(reshaped_weight(layer), matrix), name
        assert torch.equal(layer.bias, bias)
        assert layer.weight is parameter


def test_with_muon_every_update_stays_within_the_cap() -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    method = SpectralCap(c=0.5)
    constrain(ours, [method], (8,))
    built = Setting(optimiser="muon", lr=2e-2).build(ours, torch.device("cpu"))
    found = []
    for step in range(40):
        built.zero_grad()
        # A loss without a bound: only the cap stops the weights.
        (-ours(draw(32, 8, seed=step).float()).abs().mean()).backward()
        built.step()
        with torch.no_grad():
            method.project(ours)
        found.append(max(torch.linalg.matrix_norm(ours[i].weight, 2).item() for i in (0, 2)))
    assert max(found[10:]) <= 0.5 * (1 + 1e-6)
    assert found[-1] > 0.49


def test_default_and_invalid_values() -> None:
    assert (SpectralCap().mode, SpectralCap().c) == ("soft", 1.0)
    for fields in ({"c": 0.0}, {"mode": "medium"}):
        with pytest.raises(ValidationError):
            SpectralCap(**fields)
