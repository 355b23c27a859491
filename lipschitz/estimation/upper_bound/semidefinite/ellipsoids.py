"""Ellipsoids {δ: δ δᴴ ⪯ P} that contain every change of the values at a step of a chain; see `certificate`.

On vectors P is one real matrix ``(1, n, n)``. On a torus it is one complex matrix a frequency, ``(F, c, c)``. In
float64 every result has a multiple of the identity added that is larger than its rounding error. P only grows with what
it is computed from, so it stays an upper bound.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

KRYLOV_STEPS = 20
"""Dimension of the Krylov space in which the largest eigenvalues are sought."""
VERIFIED = 1 / 4
"""The share of the gap between T and A that is verified by a Cholesky factorisation."""
ATTEMPTS = 60
"""How many times T may be raised until it is verified to be above A."""


class Ellipsoid(Protocol):
    """{δ: δ δᴴ ⪯ P}."""

    def image(self, weights: Tensor, terms: int) -> Tensor:
        """Return W P Wᴴ ``(F, m, m)`` for W ``(F, m, n)``, whose entries are sums of ``terms`` products."""


@dataclass(frozen=True)
class Ball:
    """P = I: all changes of norm one."""

    def image(self, weights: Tensor, terms: int) -> Tensor:
        """Return W Wᴴ."""
        return guarded(weights @ weights.mH, 2 * (weights.shape[-1] + terms + 8), frobenius(weights).square())


@dataclass(frozen=True)
class Explicit:
    """A given P."""

    p: Tensor
    """``(F, n, n)``."""

    def image(self, weights: Tensor, terms: int) -> Tensor:
        """Return W P Wᴴ."""
        size = frobenius(weights).square() * frobenius(self.p)
        return guarded(weights @ self.p @ weights.mH, 4 * (weights.shape[-1] + terms + 8), size)


@dataclass(frozen=True)
class AfterActivation:
    """P = m² T (T - A)⁻¹ T - (m² - r²) T for an activation with slopes in [m - r, m + r], with T = t D²."""

    factor: Tensor
    """The Cholesky factor L ``(F, n, n)`` of t I - D⁻¹ A D⁻¹."""
    t: Tensor
    scales: Tensor
    """D ``(n,)``."""
    inverse_norm: Tensor
    """A bound of ‖L⁻¹‖."""
    m: float
    r: float

    def image(self, weights: Tensor, terms: int) -> Tensor:
        """Return m² Yᴴ Y - (m² - r²) W T Wᴴ with Y = t L⁻¹ D Wᴴ."""
        n = len(self.scales)
        scaled = weights * self.scales
        right = (self.t * scaled.mH).expand(len(self.factor), -1, -1)
        root = self.m * torch.linalg.solve_triangular(self.factor, right, upper=False)
        image = root.mH @ root
        # Backward error of the solution: Higham 2002, Theorem 8.5. ‖L‖_F² <= n t.
        solution = n * self.inverse_norm * (n * self.t).sqrt()
        image = guarded(image, 4 * (solution + n + terms + 8), frobenius(root).square())
        product = self.m**2 - self.r**2
        if product == 0:
            return image
        inner = product * self.t * (scaled @ scaled.mH)
        return guarded(image - inner, 4 * (n + terms + 8), abs(product) * self.t * frobenius(scaled).square())


def after_activation(a: Tensor, log_gap: Tensor, log_scales: Tensor, m: float, r: float) -> AfterActivation:
    """Return the ellipsoid after an activation, given A = W P Wᴴ of its input, ``(F, n, n)``.

    T = ρ λ D² with λ about the largest eigenvalue of D⁻¹ A D⁻¹ over all frequencies; ``log_gap`` is log(ρ - 1), and
    ``log_scales`` ``(n,)`` is 2 log D. In double precision T is raised until it is verified to be above A by a share of
    the gap.
    """
    n, scales = len(log_scales), (log_scales / 2).exp().to(a.real.dtype)
    scaled = a / (scales[:, None] * scales)
    identity = torch.eye(n, dtype=a.dtype, device=a.device)
    gap = log_gap.exp().to(a.real.dtype)
    # A small floor, so that zero weights need no case of their own.
    t = (1 + gap) * largest_eigenvalue(scaled).clamp_min(torch.finfo(a.dtype).tiny ** 0.5)
    rounding = 8 * n * n * _epsilon(a)
    share = float(VERIFIED * gap.detach() / (1 + gap.detach()))
    if rounding > 0:
        t = t * _raise(scaled.detach(), t.detach() * (1 - share - rounding), 1 + float(gap.detach()) / 2)
    factor = torch.linalg.cholesky(t * (1 - rounding) * identity - scaled)
    return AfterActivation(factor, t, scales, (share * t.detach()).rsqrt(), m, r)


def _raise(matrices: Tensor, t: Tensor, step: float) -> float:
    """Return the smallest power r of ``step`` such that r t I - ``matrices`` is positive definite."""
    identity, raised = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device), 1.0
    for _ in range(ATTEMPTS):
        _, failed = torch.linalg.cholesky_ex(t * raised * identity - matrices)
        if not failed.any():
            break
        raised *= step
    return raised


def largest_eigenvalue(matrices: Tensor) -> Tensor:
    """Return the largest eigenvalue of all positive definite ``matrices`` ``(F, n, n)``, from below.

    By the Lanczos iteration (`KRYLOV_STEPS`) on all matrices at once. The gradient is that of the Rayleigh quotient.
    """
    with torch.no_grad():
        start = torch.randn(matrices.shape[-1], 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        basis = start.to(matrices).expand(len(matrices), -1, -1)
        basis = basis / torch.linalg.vector_norm(basis, dim=1, keepdim=True)
        tiny = torch.finfo(basis.dtype).tiny
        exhausted = 100 * torch.finfo(basis.dtype).eps * frobenius(matrices)[:, None, None]
        for _ in range(min(KRYLOV_STEPS, matrices.shape[-1]) - 1):
            residual = matrices.detach() @ basis[..., -1:]
            for _ in range(2):
                residual = residual - basis @ (basis.mH @ residual)
            norms = torch.linalg.vector_norm(residual, dim=1, keepdim=True)
            # Zero once the Krylov space is exhausted: it only adds eigenvalues of zero.
            following = torch.where(norms > exhausted, residual / norms.clamp_min(tiny), torch.zeros_like(residual))
            basis = torch.cat([basis, following], dim=2)
        values, vectors = torch.linalg.eigh(basis.mH @ (matrices.detach() @ basis))
        steepest = int(values[:, -1].argmax())
        leading = basis[steepest] @ vectors[steepest, :, -1:]
        leading = leading / torch.linalg.vector_norm(leading).clamp_min(torch.finfo(values.dtype).tiny)
    quotient: Tensor = (leading.mH @ matrices[steepest] @ leading).real
    return quotient.squeeze()


def certified_largest_eigenvalue(matrices: Tensor) -> Tensor:
    """Return an upper bound of the largest eigenvalue of all ``matrices`` ``(F, n, n)``."""
    n = matrices.shape[-1]
    largest: Tensor = torch.linalg.eigvalsh(matrices)[:, -1].max().clamp_min(0)
    return largest * (1 + 8 * n * n * _epsilon(matrices))


def guarded(matrices: Tensor, units: float | Tensor, size: Tensor) -> Tensor:
    """Add ``units`` units of rounding times ``size`` ``(F,)`` to the diagonals of ``matrices`` ``(F, n, n)``."""
    margin = (units * _epsilon(matrices) * size).detach()
    return matrices + margin[:, None, None] * torch.eye(
        matrices.shape[-1], dtype=matrices.dtype, device=matrices.device
    )


def frobenius(matrices: Tensor) -> Tensor:
    """Return the Frobenius norms ``(F,)``, without a gradient."""
    entries = torch.view_as_real(matrices) if matrices.is_complex() else matrices
    norms: Tensor = torch.linalg.vector_norm(entries.detach().flatten(1), dim=1)
    return norms


def _epsilon(like: Tensor) -> float:
    """Return the unit of rounding of ``like``; zero in single precision, whose results are no certificates.

    A complex product has an error of at most 2 √2 units (Higham 2002, Lemma 3.5).
    """
    if like.dtype in (torch.float32, torch.complex64):
        return 0.0
    return 2 * math.sqrt(2) * torch.finfo(like.dtype).eps if like.is_complex() else torch.finfo(like.dtype).eps
