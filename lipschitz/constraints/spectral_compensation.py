"""SR-GAN: spectral normalization that lifts smaller singular values, against spectral collapse (Liu et al. 2019)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.normalized_weight import Iterated, Normalized, divide_by_sigma, find_normalization
from lipschitz.constraints.power_iteration import matrix_operator
from lipschitz.estimation.layers import as_matrix, is_transposed, weighted_layers


class SpectralCompensation(Constraint):
    """Divide every weight by its spectral norm, and lift its leading singular values to the largest one.

    W -> c (W / σ₁ + Σ_k (1 - σ_k / σ₁) u_k v_kᵀ), where the sum is over the leading share of the singular values: these
    become c, and the others c σ_k / σ₁. Liu et al. 2019 observe that mode collapse of GANs with spectral normalization
    comes with a collapse of the smaller singular values, and compensate it so ("static compensation"; their spectral
    regularization is not that of Yoshida and Miyato). W is the reshaped kernel. The singular value decomposition is
    computed before each discriminator update. Until the next one, singular vectors and the sum are constant, so that
    the gradient is that of spectral normalization.
    """

    source = "Liu et al. 2019, arXiv:1908.10999, Sec. 4"
    promise = "heuristic"
    scale_invariant = True
    uncapturable = "its singular value decompositions need the host"

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the singular values of each layer that are lifted, rounded up."""
    coefficient: Bound = 1.0
    """c, the largest singular value after normalization."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        for _, layer in list(weighted_layers(net)):
            module = CompensatedWeight(layer.weight, is_transposed(layer), self.share, self.coefficient)
            parametrize.register_parametrization(layer, "weight", module)
        return net

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Decompose the weight of each layer anew."""
        for _, layer in weighted_layers(net):
            found = find_normalization(layer)
            if found is not None and isinstance(found[0], CompensatedWeight):
                found[0].decompose(found[1])


class CompensatedWeight(Normalized):
    """Reparametrisation of `SpectralCompensation` for one layer."""

    compensation: Tensor
    """Σ_k (1 - σ_k / σ₁) u_k v_kᵀ, in the shape of the reshaped kernel."""

    def __init__(self, weight: Tensor, transposed: bool, share: float, coefficient: float) -> None:
        super().__init__()
        self.transposed, self.share, self.coefficient = transposed, share, coefficient
        matrix = as_matrix(weight.detach(), transposed)
        self.register_buffer("u", matrix.new_empty(matrix.shape[0]))
        self.register_buffer("v", matrix.new_empty(matrix.shape[1]))
        self.register_buffer("compensation", torch.empty_like(matrix, memory_format=torch.contiguous_format))
        self.decompose(weight.detach())

    def decompose(self, weight: Tensor) -> None:
        """Compute singular vectors and compensation of ``weight``; of a zero weight all stay as they are or zero."""
        u, sigmas, vh = torch.linalg.svd(as_matrix(weight, self.transposed), full_matrices=False)
        lifted = -int(-self.share * len(sigmas) // 1)
        self.u.copy_(u[:, 0])
        self.v.copy_(vh[0])
        # Where σ₁ is zero nothing is lifted: the layer stays zero.
        shares = torch.where(sigmas[0] > 0, 1 - sigmas[:lifted] / sigmas[0], 0)
        torch.mm(u[:, :lifted] * shares, vh[:lifted], out=self.compensation)

    def iterated(self, weight: Tensor) -> list[Iterated]:
        """Return the reshaped kernel as an operator, with u and v."""
        return [Iterated(matrix_operator(as_matrix(weight, self.transposed)), self.u, self.v)]

    def factors(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the reshaped kernel, u and v."""
        return as_matrix(weight, self.transposed), self.u, self.v

    def _divided(self, weight: Tensor, matrix: Tensor, x: Tensor, y: Tensor) -> Tensor:
        lifted = self.coefficient * (divide_by_sigma(matrix, x, y, self.stored) + self.compensation)
        if self.transposed:
            lifted = lifted.view(weight.shape[1], weight.shape[0], *weight.shape[2:]).transpose(0, 1)
        return lifted.view(weight.shape)
