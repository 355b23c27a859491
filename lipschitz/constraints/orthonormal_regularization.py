"""Orthonormal (orthogonal) regularization: a penalty on ‖WᵀW - I‖, the distance of the Gram matrix to the identity."""

from typing import Literal

import torch
from torch import Tensor, nn

from lipschitz.config import Factor
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.tied_weights import distinct_layers
from lipschitz.estimation.layers import reshaped_weight


class OrthonormalRegularization(Constraint):
    """Pull the Gram matrix of every layer to the identity: add λ Σ ‖WᵀW - I‖_F² to the loss.

    The sum is over the layers, and W is the reshaped kernel. Miyato et al. 2018 compare with this penalty (eq. 14) and
    attribute it to Brock et al. 2016. The penalty of Brock et al. is λ Σ |W Wᵀ - I|, summed over the entries
    (arXiv:1609.07093, section on orthogonal regularization). ``norm`` selects one of them. Both pull all singular
    values to one, not only the largest. A weight that layers share counts once.

    Training starts from the same initial weights as with all other methods. Miyato et al. draw orthonormal initial
    weights instead.
    """

    source = "Brock et al. 2016, arXiv:1609.07093; as in Miyato et al. 2018, arXiv:1802.05957, eq. 14"
    promise = "heuristic"

    weight: Factor = 1e-3
    """λ, the factor of the penalty. Neither paper states it; 1e-3 is the value in Brock et al.'s released code."""
    norm: Literal["frobenius", "entrywise"] = "frobenius"
    """``frobenius``: squared Frobenius norm (Miyato et al.); ``entrywise``: sum of absolute values (Brock et al.)."""

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the sum over the layers, for the effective weights."""
        distance = squared_frobenius_distance if self.norm == "frobenius" else entrywise_distance
        return self.weight * torch.stack([distance(reshaped_weight(layer)) for _, layer in distinct_layers(net)]).sum()


def squared_frobenius_distance(matrix: Tensor) -> Tensor:
    """Return Σ (σ² - 1)² over the min(m, n) singular values of ``matrix`` ``(m, n)``.

    ‖WᵀW - I‖_F² is this sum plus max(n - m, 0), and ‖W Wᵀ - I‖_F² is this sum plus max(m - n, 0). The constants do not
    change the gradient, so the smaller Gram matrix is used for both, and the minimum is zero.
    """
    rows, columns = matrix.shape
    return _gram_minus_identity(matrix if rows <= columns else matrix.T).square().sum()


def entrywise_distance(matrix: Tensor) -> Tensor:
    """Return Σ |W Wᵀ - I| over the entries, for W ``(m, n)`` whose rows are the filters; WᵀW gives another value."""
    return _gram_minus_identity(matrix).abs().sum()


def _gram_minus_identity(matrix: Tensor) -> Tensor:
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    return torch.addmm(identity, matrix, matrix.T, beta=-1)
