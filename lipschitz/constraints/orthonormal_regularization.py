"""Orthonormal regularization: the distance of every layer's Gram matrix from the identity is added to the loss."""

from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.estimation.layers import reshaped_weight, weighted_layers


class OrthonormalRegularization(Constraint):
    """Add λ Σ ‖WᵀW - I‖_F² over the layers to the loss, W the reshaped kernel.

    This is the method that Miyato et al. 2018 compare with (eq. 14) and attribute to Brock et al. 2016, whose own term
    is λ Σ |W Wᵀ - I|, summed over entries (arXiv:1609.07093, the section on orthogonal regularization): ``norm`` says
    which. Both pull every singular value to one, not the largest alone.

    The method starts here from the network's own weights, as all methods do; Miyato et al. draw orthonormal ones.
    """

    source = "Brock et al. 2016, arXiv:1609.07093; as in Miyato et al. 2018, arXiv:1802.05957, eq. 14"
    promise = "heuristic"

    weight: NonNegativeFloat = 1e-3
    """λ, the factor of the penalty. Neither paper states one; this is that of Brock et al.'s released configuration."""
    norm: Literal["frobenius", "entrywise"] = "frobenius"
    """``frobenius``: squared Frobenius norm, Miyato et al.'s; ``entrywise``: sum of absolute values, Brock et al.'s."""

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the sum over the layers, of the effective weights."""
        distance = squared_frobenius_distance if self.norm == "frobenius" else entrywise_distance
        return self.weight * torch.stack([distance(reshaped_weight(layer)) for _, layer in weighted_layers(net)]).sum()


def squared_frobenius_distance(matrix: Tensor) -> Tensor:
    """Return Σ (σ² - 1)² over the min(m, n) singular values of ``matrix`` ``(m, n)``.

    WᵀW and W Wᵀ share their non-zero eigenvalues: ‖WᵀW - I‖_F² is this plus max(n - m, 0), and ‖W Wᵀ - I‖_F² is this
    plus max(m - n, 0). No gradient sees the constants, so the smaller matrix does for both, and zero can be reached.
    """
    rows, columns = matrix.shape
    return _residual(matrix if rows <= columns else matrix.T).square().sum()


def entrywise_distance(matrix: Tensor) -> Tensor:
    """Return Σ |W Wᵀ - I| over the entries, W ``(m, n)``: here the side matters, and the rows are the filters."""
    return _residual(matrix).abs().sum()


def _residual(matrix: Tensor) -> Tensor:
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    return torch.addmm(identity, matrix, matrix.T, beta=-1)
