"""Cayley layers: orthogonal convolutions by the Cayley transform (I - A)(I + A)⁻¹ at every frequency."""

import torch
from torch import Tensor, nn

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.constraints.circular_kernel import CircularKernel, as_tall, circular_axes
from lipschitz.estimation.layers import WeightedLayer

LARGEST = 1e3
"""Frobenius norm of a frequency's matrix above which it is scaled down: rounding grows with its square."""


class Cayley(Constraint):
    """Replace every weight by its Cayley transform: Q = (I - A)(I + A)⁻¹ with A = W - Wᵀ, an orthogonal matrix.

    A weight with more rows than columns is W = [U; V] with U square. Then A = U - Uᵀ + VᵀV, and Q = [(I - A)(I + A)⁻¹;
    -2 V (I + A)⁻¹] has orthonormal columns. With more columns than rows Wᵀ is transformed. A convolution is transformed
    at each frequency of a circular convolution, and pads in a circle; so it is orthogonal at the border, too. Stride s
    is an invertible downsampling. The kernel is as large as the map, see `lipschitz.constraints.circular_kernel`.

    The authors' code divides W by its norm and multiplies by a trained number, which is that norm at the start; here W
    itself is transformed. Q has no eigenvalue -1, and the zero weight becomes the identity.
    """

    source = "Trockman & Kolter 2021, arXiv:2104.07167, Sec. 4 and Algorithm 1"
    promise = "certified"
    uncapturable = "it inverts matrices by cuSOLVER, which keeps one workspace for all streams"

    coefficient: Bound = 1.0
    """c, the bound of every layer's Lipschitz constant."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._parametrization)

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, CayleyTransform)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        return CayleyTransform(self.coefficient, *circular_axes(layer, shape))


class CayleyTransform(CircularKernel):
    """W -> c Q, with Q the Cayley transform at every frequency."""

    def orthogonal(self, blocks: Tensor) -> Tensor:
        """Return the Cayley transform of each block."""
        tall, wide = as_tall(blocks)
        found = cayley_transform(tall)
        return found.mH if wide else found


def cayley_transform(tall: Tensor) -> Tensor:
    """Return Q of each matrix [U; V] ``(..., m, n)``, m >= n, in float64 or complex128."""
    norms = torch.linalg.matrix_norm(tall.detach())[..., None, None]
    tall = tall * (LARGEST / norms).clamp_max(1)
    columns = tall.shape[-1]
    square, rest = tall[..., :columns, :], tall[..., columns:, :]
    eye = torch.eye(columns, dtype=tall.dtype, device=tall.device)
    # The Hermitian part of I + A is at least I, so the inverse exists, and its norm is at most one.
    inverse = torch.linalg.inv_ex(eye + square - square.mH + rest.mH @ rest).inverse
    return torch.cat([2 * inverse - eye, -2 * rest @ inverse], dim=-2)
