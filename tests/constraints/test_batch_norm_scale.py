"""The operator norm of batch normalization against the module in eval mode."""

import numpy as np
import pytest
import torch
from torch import nn

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.batch_norm_scale import batch_norm_sigma, batch_norms, refuse_batch_norm_without_scale


def norm(gamma: list[float], variance: list[float], eps: float = 1e-5) -> nn.BatchNorm1d:
    module = nn.BatchNorm1d(len(gamma), eps=eps).double().eval()
    module.weight.data = torch.tensor(gamma, dtype=torch.float64)
    module.running_var.copy_(torch.tensor(variance))
    return module


def test_sigma_by_hand() -> None:
    # 2/√4 = 1, |-3|/√1 = 3, 5/√25 = 1.
    assert batch_norm_sigma(norm([2, -3, 5], [4, 1, 25], eps=0)).item() == pytest.approx(3)
    assert batch_norm_sigma(norm([1], [0.75], eps=0.25)).item() == pytest.approx(1)


def test_sigma_matches_the_norm_of_the_dense_map_in_eval_mode() -> None:
    module = norm([0.3, -2.0, 1.5], [0.1, 3.0, 0.8])
    module.running_mean.copy_(torch.tensor([1.0, -1.0, 2.0]))
    with torch.no_grad():
        matrix = module(torch.eye(3, dtype=torch.float64)) - module(torch.zeros(1, 3, dtype=torch.float64))
    assert batch_norm_sigma(module).item() == pytest.approx(np.linalg.norm(matrix.numpy(), 2), rel=1e-12)
    assert not batch_norm_sigma(module).requires_grad


def test_only_batch_normalization_is_found() -> None:
    net = nn.Sequential(nn.BatchNorm1d(2), nn.LayerNorm(2), nn.Sequential(nn.BatchNorm2d(2), nn.InstanceNorm2d(2)))
    assert [name for name, _ in batch_norms(net)] == ["0", "2.0"]
    refuse_batch_norm_without_scale("method", net)


def test_missing_gamma_or_running_variance_is_refused() -> None:
    bare = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False))
    with pytest.raises(
        Refusal, match=r"method scales γ of batch normalization, but '1' has no trained γ; allowed: .*gain"
    ):
        refuse_batch_norm_without_scale("method", bare)
    frozen = nn.Sequential(nn.BatchNorm1d(2))
    del frozen[0].weight
    frozen[0].register_buffer("weight", torch.ones(2))
    with pytest.raises(Refusal, match="'0' has no trained γ"):
        refuse_batch_norm_without_scale("method", frozen)
    with pytest.raises(Refusal, match="method scales γ by the running variance, but '0' has none"):
        refuse_batch_norm_without_scale("method", nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)))
    with pytest.raises(ValueError, match="without running statistics"):
        batch_norm_sigma(nn.BatchNorm1d(2, track_running_stats=False))
