"""Orthonormal (orthogonal) regularization: a penalty on ‖WᵀW - I‖, the distance of the Gram matrix to the identity."""

from typing import Literal

import torch
from torch import Tensor, nn

from lipschitz.config import Factor
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.power_iteration import infinite_where_zero
from lipschitz.constraints.tied_weights import distinct_layers
from lipschitz.estimation.layers import reshaped_weight


class OrthonormalRegularization(Constraint):
    """Pull the Gram matrix of every layer to the identity: add λ Σ ‖WᵀW - I‖_F² to the loss.

    The sum is over the layers, and W is the reshaped kernel. Miyato et al. 2018 compare with this penalty (eq. 14) and
    attribute it to Brock et al. 2016. The penalty of Brock et al. is λ Σ |W Wᵀ - I|, summed over the entries
    (arXiv:1609.07093, section on orthogonal regularization). SRIP of Bansal et al. 2018 is λ Σ σ(WᵀW - I), with the
    spectral norm σ by two steps of power iteration from a random vector (eq. 7). These pull all singular values to one,
    not only the largest. BigGAN's penalty leaves out the diagonal, λ Σ ‖W Wᵀ ∘ (1 - I)‖_F² (Brock et al. 2019, eq. 3):
    it makes the filters orthogonal, and does not bound their norms. ``norm`` selects one of them. A weight that layers
    share counts once.

    Training starts from the same initial weights as with all other methods. Miyato et al. draw orthonormal initial
    weights instead.
    """

    source = (
        "Brock et al. 2016, arXiv:1609.07093; as in Miyato et al. 2018, arXiv:1802.05957, eq. 14; off_diagonal: Brock "
        "et al. 2019, arXiv:1809.11096, eq. 3; spectral: Bansal et al. 2018, arXiv:1810.09102, eq. 7"
    )
    promise = "heuristic"

    weight: Factor = 1e-3
    """λ, the factor of the penalty. Neither Miyato et al. nor Brock et al. 2016 state it; 1e-3 is the value in the
    latter's released code. BigGAN's is 1e-4."""
    norm: Literal["frobenius", "entrywise", "off_diagonal", "spectral"] = "frobenius"
    """``frobenius``: squared Frobenius norm (Miyato et al.); ``entrywise``: sum of absolute values (Brock et al. 2016);
    ``off_diagonal``: as ``frobenius`` without the diagonal (BigGAN); ``spectral``: the spectral norm (SRIP)."""

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the sum over the layers, for the effective weights."""
        matrices = [reshaped_weight(layer) for _, layer in distinct_layers(net)]
        return self.weight * torch.stack([self._distance(matrix, rng) for matrix in matrices]).sum()

    def _distance(self, matrix: Tensor, rng: torch.Generator) -> Tensor:
        match self.norm:
            case "frobenius":
                return squared_frobenius_distance(matrix)
            case "entrywise":
                return entrywise_distance(matrix)
            case "off_diagonal":
                return squared_off_diagonal(matrix)
            case "spectral":
                return spectral_distance(matrix, rng)


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


def squared_off_diagonal(matrix: Tensor) -> Tensor:
    """Return ‖W Wᵀ ∘ (1 - I)‖_F² for W ``(m, n)``: the squared inner products of different rows, the filters."""
    gram = matrix @ matrix.T
    # The diagonal is removed before the sum: subtracting its sum from the whole could round to a negative number.
    return (gram - gram.diagonal().diag()).square().sum()


def spectral_distance(matrix: Tensor, rng: torch.Generator) -> Tensor:
    """Estimate σ(G - I), with G the smaller Gram matrix of ``matrix`` ``(m, n)``, by two steps of power iteration.

    From a random x, it is ‖(G - I)² x‖ / ‖(G - I) x‖, differentiated through both steps; zero where G is the identity.
    """
    rows, columns = matrix.shape
    difference = _gram_minus_identity(matrix if rows <= columns else matrix.T)
    x = torch.randn(len(difference), generator=rng, device=matrix.device, dtype=matrix.dtype)
    first = difference @ x
    second = difference @ first
    divisor = infinite_where_zero(torch.linalg.vector_norm(first))
    estimate: Tensor = torch.linalg.vector_norm(second) / divisor
    return estimate


def _gram_minus_identity(matrix: Tensor) -> Tensor:
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    return torch.addmm(identity, matrix, matrix.T, beta=-1)
