"""Orthogonal layers: every weight moves on the manifold of matrices with orthonormal rows or columns."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.gram_iteration import overlap_factor


class Orthogonal(Constraint):
    """Keep every reshaped weight orthonormal by the Cayley map of a skew-symmetric matrix.

    W = Q (I - S/2)⁻¹ (I + S/2), with Q the orthonormal matrix nearest to the initial weight and S skew-symmetric, its
    lower triangle the change of the parameter since then: a static trivialization (Lezcano-Casado 2019), with the
    Cayley map of Helfrich et al. 2018 in the place of the exponential, which agrees with it to second order at a
    fraction of its cost. Together with sorting activations (a model's ``activation: full_sort``) this is the "sorting
    out" of Anil et al. 2019 as Korotin et al. 2022 train it, but for the map and the start: theirs are the exponential
    and a random orthonormal matrix.

    Where `bjorck` finds the orthonormal matrix nearest to the present weight, here the parameter moves on the manifold
    itself: at the start at the same rate in every direction, in the canonical metric; the further away, the slower.
    A convolution is divided as `bjorck` does.
    """

    source: ClassVar[str] = (
        "Lezcano-Casado 2019, arXiv:1909.09501; Cayley map: Helfrich et al. 2018, arXiv:1707.09520; with sorting: "
        "Anil et al. 2019, arXiv:1811.05381"
    )
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "certified"
    uncapturable: ClassVar[str] = "it solves a linear system by cuSOLVER, which keeps one workspace for all streams"

    coefficient: PositiveFloat = 1.0
    """c, the bound of every layer's Lipschitz constant."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._weight)

    def check(self, net: nn.Module) -> None:
        """Refuse a network that other methods made unbounded."""
        check_certified(self.name(), net, OrthogonalWeight)

    def _weight(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        # Zero where the kernel meets nothing but padding: then any kernel will do.
        return OrthogonalWeight(self.coefficient, groups, overlap_factor(layer, shape) or 1.0, layer.weight)


class OrthogonalWeight(CertifiedWeight):
    """W -> c Q C(S) / f, one matrix a group; S is the lower triangle of W's change, made skew-symmetric."""

    start: Tensor
    """The weight at which S is zero, as matrices ``(g, n, k)``, n >= k."""
    frame: Tensor
    """``(g, n, n)`` orthogonal, float64: the columns that W starts from, and what completes them."""

    def __init__(self, coefficient: float, groups: int, factor: float, weight: Tensor) -> None:
        super().__init__(coefficient)
        self.groups, self.factor = groups, factor
        start = self._tall(weight.detach()).clone()
        self.register_buffer("start", start)
        self.register_buffer("frame", nearest_frame(start.double()))

    def bounded(self, weight: Tensor) -> Tensor:
        """Return Q C(S) / f, in float64: its rows or columns are orthonormal to within 1e-13.

        Rounding grows with the square of the change: to 1e-9 where an entry of W has moved by 1e4; beyond 1e5 it may
        exceed the certificate's margin, and the bound with it.
        """
        moved = cayley((self._tall(weight) - self.start).double().tril(-1))
        matrix = self.frame @ moved
        if matrix.shape[1] != weight.shape[0] // self.groups:
            matrix = matrix.mT
        return matrix.reshape(weight.shape) / self.factor

    def _tall(self, weight: Tensor) -> Tensor:
        """Return the kernel of each group as a matrix, transposed where it has more columns than rows."""
        matrix = weight.reshape(self.groups, weight.shape[0] // self.groups, -1)
        return matrix.mT if matrix.shape[1] < matrix.shape[2] else matrix


def nearest_frame(matrices: Tensor) -> Tensor:
    """Return orthogonal ``(g, n, n)`` whose first k columns are the orthonormal ones nearest to those of ``(g, n, k)``.

    These are U Vᵀ of the singular value decomposition, for any unitarily invariant norm (Higham 1986).
    """
    u, _, vh = torch.linalg.svd(matrices, full_matrices=True)
    k = matrices.shape[2]
    return torch.cat([u[..., :k] @ vh, u[..., k:]], dim=2)


def cayley(lower: Tensor) -> Tensor:
    """Return the first k columns of (I - S/2)⁻¹ (I + S/2), S = L - Lᵀ, for strictly lower L ``(g, n, k)``, n >= k.

    L is padded by zeros to ``(n, n)``. The block of S that is not in its first k rows or columns is zero; eliminating
    it leaves a system of size k.
    """
    k = lower.shape[2]
    top, bottom = lower[..., :k, :], lower[..., k:, :]
    skew = (top - top.mT) / 2
    eye = torch.eye(k, dtype=lower.dtype, device=lower.device)
    gram = bottom.mT @ bottom / 4
    # Its real part is at least the identity, so that it has an inverse: looking for an error would wait for the device.
    first, _ = torch.linalg.solve_ex(eye - skew + gram, eye + skew - gram)
    return torch.cat([first, bottom @ (eye + first) / 2], dim=-2)
