"""Orthogonal layers by the Cayley map: every weight stays on the Stiefel manifold (orthonormal rows or columns)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.gram_iteration import overlap_factor


class Orthogonal(Constraint):
    """Keep every reshaped weight orthonormal, by the Cayley map of a trained skew-symmetric matrix.

    W = Q (I - S/2)⁻¹ (I + S/2). Q is the orthonormal matrix nearest to the initial weight. S is skew-symmetric, and its
    lower triangle is the change of the raw weight since initialisation. This is a static trivialization (Lezcano-Casado
    2019) with the Cayley map of Helfrich et al. 2018 in place of the matrix exponential. The two maps agree to second
    order, and the Cayley map is much cheaper.

    With sorting activations (the models' ``activation: full_sort``) this is the "sorting out" of Anil et al. 2019 as
    trained by Korotin et al. 2022, with two differences: they use the exponential and a random orthonormal Q.

    `bjorck` computes the orthonormal matrix nearest to the current raw weight. Here the raw weight is a coordinate on
    the manifold. At the start all directions move at the same speed in the canonical metric; far from the start,
    weights move more slowly. A convolution is divided by the same factor as in `bjorck`.
    """

    source = (
        "Lezcano-Casado 2019, arXiv:1909.09501; Cayley map: Helfrich et al. 2018, arXiv:1707.09520; with sorting: "
        "Anil et al. 2019, arXiv:1811.05381"
    )
    promise = "certified"
    uncapturable = "it solves a linear system by cuSOLVER, which keeps one workspace for all streams"

    coefficient: Bound = 1.0
    """c, the bound of every layer's Lipschitz constant."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._parametrization)

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, OrthogonalWeight)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        # The factor is zero if the kernel sees nothing but padding. Then any kernel satisfies the bound.
        return OrthogonalWeight(self.coefficient, groups, overlap_factor(layer, shape) or 1.0, layer.weight)


class OrthogonalWeight(CertifiedWeight):
    """Reparametrisation W -> c Q C(S) / f, one matrix per group, with C the Cayley map.

    S = L - Lᵀ, with L the lower triangle of the change of W. f is the square root of the number of windows that contain
    one pixel.
    """

    start: Tensor
    """The initial weight, at which S is zero, as matrices ``(g, n, k)``, n >= k."""
    frame: Tensor
    """Orthogonal matrices ``(g, n, n)``, float64: the k columns of the initial Q, completed to a basis."""

    def __init__(self, coefficient: float, groups: int, factor: float, weight: Tensor) -> None:
        super().__init__(coefficient)
        self.groups, self.factor = groups, factor
        start = self._tall(weight.detach()).clone()
        self.register_buffer("start", start)
        self.register_buffer("frame", nearest_frame(start.double()))

    def bounded(self, weight: Tensor) -> Tensor:
        """Return Q C(S) / f in float64. The rows or columns of Q C(S) are orthonormal up to 1e-13.

        The rounding error grows with the square of the change of W. It is 1e-9 if an entry of W has changed by 1e4.
        Beyond 1e5 it may exceed `MARGIN`, and then the bound may be exceeded.
        """
        moved = cayley((self._tall(weight) - self.start).double().tril(-1))
        matrix = self.frame @ moved
        if matrix.shape[1] != weight.shape[0] // self.groups:
            matrix = matrix.mT
        return matrix.reshape(weight.shape) / self.factor

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "OrthogonalWeight":
        """Apply ``fn`` as `nn.Module.to` does, but keep the frame in float64: rounded, it is no longer orthogonal."""
        frame = self.frame
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.frame = frame.to(self.frame.device)
        return self

    def _tall(self, weight: Tensor) -> Tensor:
        """Return the kernel as one matrix per group, transposed if it has more columns than rows."""
        matrix = weight.reshape(self.groups, weight.shape[0] // self.groups, -1)
        return matrix.mT if matrix.shape[1] < matrix.shape[2] else matrix


def nearest_frame(matrices: Tensor) -> Tensor:
    """Return orthogonal ``(g, n, n)`` whose first k columns are the orthonormal matrix nearest to ``(g, n, k)``.

    The nearest orthonormal matrix is U Vᵀ of the singular value decomposition, in any unitarily invariant norm (Higham
    1986).
    """
    u, _, vh = torch.linalg.svd(matrices, full_matrices=True)
    k = matrices.shape[2]
    return torch.cat([u[..., :k] @ vh, u[..., k:]], dim=2)


def cayley(lower: Tensor) -> Tensor:
    """Return the first k columns of (I - S/2)⁻¹ (I + S/2), S = L - Lᵀ, for strictly lower L ``(g, n, k)``, n >= k.

    L is padded with zeros to ``(n, n)``. The block of S outside its first k rows and columns is zero, so the linear
    system is reduced to one of size k.
    """
    k = lower.shape[2]
    top, bottom = lower[..., :k, :], lower[..., k:, :]
    skew = (top - top.mT) / 2
    eye = torch.eye(k, dtype=lower.dtype, device=lower.device)
    gram = bottom.mT @ bottom / 4
    # The symmetric part of the matrix is at least the identity, so it is invertible. solve_ex does not check for
    # errors, which would synchronise with the device.
    first, _ = torch.linalg.solve_ex(eye - skew + gram, eye + skew - gram)
    return torch.cat([first, bottom @ (eye + first) / 2], dim=-2)
