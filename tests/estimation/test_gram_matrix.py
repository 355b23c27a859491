"""The largest eigenvalue of a large Gram matrix: against NumPy, proved from above, and computed if the proof fails."""

import numpy as np
import pytest
import torch
from call_counters import AtenCalls
from torch import Tensor, nn

from lipschitz.estimation.layers import input_shapes
from lipschitz.estimation.sigma import gram_matrix
from lipschitz.estimation.sigma.gram_matrix import EXCESS, largest_gram_eigenvalue
from lipschitz.estimation.sigma.lanczos import LeadingSingularValue, LinearMap
from lipschitz.estimation.sigma.layer_sigmas import reshaped_sigmas
from lipschitz.estimation.upper_bound import gram_iteration, operator_bounds
from lipschitz.estimation.upper_bound.gram_iteration import spectral_norm_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gram_matrix, gram_iteration, operator_bounds):
        monkeypatch.setattr(module, "LARGE", 20)
    monkeypatch.setattr("lipschitz.estimation.sigma.layer_sigmas.LARGE", 20)
    monkeypatch.setattr(gram_matrix, "BLOCK", 16)


def matrix(rows: int = 90, columns: int = 130) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("rows", [20, 21, 32, 90])
def test_it_is_the_square_of_the_largest_singular_value(rows: int) -> None:
    exact = np.linalg.norm(matrix(rows).numpy(), 2) ** 2
    with AtenCalls() as calls:
        found = float(largest_gram_eigenvalue(matrix(rows)))
    assert exact / (1 + EXCESS) <= found <= exact * (1 + 1e-12)
    assert calls.counts["_linalg_eigh"] == (rows == 20), "of a large matrix no eigenvalues are computed"


def test_equal_eigenvalues_and_zeros() -> None:
    assert float(largest_gram_eigenvalue(3 * torch.eye(40, dtype=torch.float64))) == pytest.approx(9, rel=1e-12)
    assert float(largest_gram_eigenvalue(torch.zeros(40, 50, dtype=torch.float64))) == 0


def test_a_ritz_value_that_is_too_small_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = np.linalg.norm(matrix().numpy(), 2) ** 2
    for share in (0.9, 1 - 2 * EXCESS):
        too_small = LeadingSingularValue(share * exact, torch.zeros(90), converged=True)
        monkeypatch.setattr(gram_matrix, "leading_singular_value", lambda *_, found=too_small, **__: found)
        assert float(largest_gram_eigenvalue(matrix())) == pytest.approx(exact, rel=1e-12)


def slightly_below(forward: LinearMap, *_: object, **__: object) -> LeadingSingularValue:
    gram = forward(torch.eye(90, dtype=torch.float64))
    return LeadingSingularValue((1 - EXCESS / 2) * np.linalg.norm(gram.numpy(), 2), gram[0], converged=True)


def test_the_bounds_of_a_large_layer_are_above_its_norm_though_the_ritz_value_is_below(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = nn.Linear(130, 90).double()
    layer.weight.data = matrix()
    exact = np.linalg.norm(matrix().numpy(), 2)
    monkeypatch.setattr(gram_matrix, "leading_singular_value", slightly_below)
    # Without the margins for rounding, which are larger than the excess.
    monkeypatch.setattr(torch, "finfo", lambda _: type("NoRounding", (), {"eps": 0.0, "tiny": 1e-300}))
    sigma = reshaped_sigmas({"": layer})[""]
    assert exact * (1 - EXCESS) <= sigma < exact
    assert exact <= layer_bounds(layer, input_shapes(layer, (130,)), {"": sigma})[""].constant <= exact * (1 + EXCESS)
    assert exact <= float(spectral_norm_bound(matrix(), None)) <= exact * (1 + EXCESS)
    assert exact <= float(spectral_norm_bound(matrix().T[None], None)) <= exact * (1 + EXCESS)
