"""Björck orthonormalisation: replace every weight by the nearest orthonormal matrix, by Björck's iteration."""

import torch
from torch import Tensor, nn

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.gram_iteration import overlap_factor, spectral_norm_bound


class Bjorck(Constraint):
    """Orthonormalise every reshaped weight in the forward pass, by Björck's iteration.

    W <- W (3 I - WᵀW) / 2, the iteration of Björck & Bowie 1971 at order one, as in Anil et al. 2019 (Sec. 4.2). It
    moves a singular value in [0, 1] towards 1 and never above 1, so the bound holds after any number of iterations.
    Anil et al. combine it with sorting activations (the models' ``activation: group_sort``), which preserve the norm of
    the gradient. ReLU is allowed too.

    A convolution applies its reshaped kernel to overlapping windows. It is therefore divided by the square root of the
    number of windows that contain one pixel (√9 = 3 for a 3x3 kernel with stride 1). Its norm is then at most c, and
    usually below c.
    """

    source = "Anil et al. 2019, arXiv:1811.05381, Sec. 4.2"
    promise = "certified"
    scale_invariant = True
    start = "orthogonal"

    coefficient: Bound = 1.0
    """c, the bound of every layer's Lipschitz constant."""
    iterations: Iterations = 15
    """Steps of Björck's iteration in each forward pass; 15 raise a singular value of 0.004 times the largest to 0.9."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._parametrization)

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, Orthonormalized)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        # The factor is zero if the kernel sees nothing but padding. Then any kernel satisfies the bound.
        factor = overlap_factor(layer, shape) or 1.0
        return Orthonormalized(self.coefficient, self.iterations, groups, factor)


class Orthonormalized(CertifiedWeight):
    """W -> c Q / f, with Q orthonormal (rows or columns, whichever are fewer), one matrix per group.

    f is the square root of the number of windows that contain one pixel. The kernel is reshaped as it is stored. For a
    transposed convolution that is the kernel of its adjoint, which has the same norm.
    """

    def __init__(self, coefficient: float, iterations: int, groups: int, factor: float) -> None:
        super().__init__(coefficient)
        self.iterations, self.groups, self.factor = iterations, groups, factor

    def bounded(self, weight: Tensor) -> Tensor:
        """Return Q / f in float64."""
        matrix = weight.reshape(self.groups, weight.shape[0] // self.groups, -1)
        return orthonormalized(matrix, self.iterations).reshape(weight.shape) / self.factor


def orthonormalized(matrices: Tensor, iterations: int) -> Tensor:
    """Return ``matrices`` ``(g, m, n)`` after steps of Björck's iteration, in float64; no singular value exceeds 1.

    All steps but the last run in the dtype of ``matrices``, where rounding may leave singular values above 1. The last
    step runs in float64 and brings them back, since |σ (3 - σ²) / 2| <= 1 for every σ <= 2.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    wide = divided_by_norm_bound(matrices.mT if tall else matrices)
    for _ in range(iterations - 1):
        wide = bjorck_step(wide)
    wide = bjorck_step(wide.double())
    return wide.mT if tall else wide


def divided_by_norm_bound(matrices: Tensor) -> Tensor:
    """Divide each of ``matrices`` ``(g, m, n)`` by an upper bound of its norm; a zero matrix stays zero.

    Four Gram iterations bound the norm up to a factor of m^(1/32). This saves about five steps of Björck's iteration
    compared with the bound √(‖W‖₁ ‖W‖_∞).
    """
    bounds = spectral_norm_bound(matrices.double(), 4)
    return matrices / torch.where(bounds > 0, bounds, 1.0).to(matrices.dtype)[:, None, None]


def bjorck_step(matrices: Tensor) -> Tensor:
    """Return (3 W - W Wᵀ W) / 2 for each W of ``matrices`` ``(g, m, n)``, m <= n."""
    return torch.baddbmm(matrices, matrices @ matrices.mT, matrices, beta=1.5, alpha=-0.5)
