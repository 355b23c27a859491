"""Batch normalisation as a diagonal operator: σ against what the module does in eval mode."""

import numpy as np
import pytest
import torch
from torch import nn

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.batch_norm_scale import batch_norms, diagonal_sigma, refuse_unscalable


def norm(gamma: list[float], variance: list[float], eps: float = 1e-5) -> nn.BatchNorm1d:
    module = nn.BatchNorm1d(len(gamma), eps=eps).double().eval()
    module.weight.data = torch.tensor(gamma, dtype=torch.float64)
    module.running_var.copy_(torch.tensor(variance))
    return module


def test_sigma_by_hand() -> None:
    # 2/√4 = 1, |-3|/√1 = 3, 5/√25 = 1.
    assert diagonal_sigma(norm([2, -3, 5], [4, 1, 25], eps=0)).item() == pytest.approx(3)
    assert diagonal_sigma(norm([1], [0.75], eps=0.25)).item() == pytest.approx(1)


def test_sigma_is_that_of_the_map_in_eval_mode() -> None:
    module = norm([0.3, -2.0, 1.5], [0.1, 3.0, 0.8])
    module.running_mean.copy_(torch.tensor([1.0, -1.0, 2.0]))
    with torch.no_grad():
        matrix = module(torch.eye(3, dtype=torch.float64)) - module(torch.zeros(1, 3, dtype=torch.float64))
    assert diagonal_sigma(module).item() == pytest.approx(np.linalg.norm(matrix.numpy(), 2), rel=1e-12)
    assert not diagonal_sigma(module).requires_grad


def test_batch_norms_are_found_and_no_other_norm() -> None:
    net = nn.Sequential(nn.BatchNorm1d(2), nn.LayerNorm(2), nn.Sequential(nn.BatchNorm2d(2), nn.InstanceNorm2d(2)))
    assert [name for name, _ in batch_norms(net)] == ["0", "2.0"]
    refuse_unscalable("method", net)


def test_what_cannot_be_scaled_is_refused() -> None:
    bare = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False))
    with pytest.raises(Refusal, match=r"method scales γ of batch normalisation, and '1' trains none; allowed: .*gain"):
        refuse_unscalable("method", bare)
    frozen = nn.Sequential(nn.BatchNorm1d(2))
    del frozen[0].weight
    frozen[0].register_buffer("weight", torch.ones(2))
    with pytest.raises(Refusal, match="'0' trains none"):
        refuse_unscalable("method", frozen)
    with pytest.raises(Refusal, match="method scales γ by the running variance, and '0' keeps none"):
        refuse_unscalable("method", nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)))
    with pytest.raises(ValueError, match="without running statistics"):
        diagonal_sigma(nn.BatchNorm1d(2, track_running_stats=False))
