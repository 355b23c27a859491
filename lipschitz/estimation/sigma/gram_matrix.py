"""Largest eigenvalue of the Gram matrix A Aᵀ of a matrix A: that is the square of the largest singular value of A."""

import torch
from torch import Tensor

from lipschitz.estimation.sigma.lanczos import leading_singular_value

LARGE = 1024
"""Above this size the largest eigenvalue is found by Lanczos iteration and proved by Cholesky factorisation."""
EXCESS = 4e-6
"""By how much the largest eigenvalue of a large matrix may exceed the value that is returned, relatively."""
BLOCK = 512
"""Rows of a block of a large Gram matrix, of which only the blocks up to the diagonal are computed."""


def largest_gram_eigenvalue(matrix: Tensor) -> Tensor:
    """Return the largest eigenvalue λ of A Aᵀ for a real ``matrix`` A, ``(m, n)`` with m <= n, as a scalar.

    Up to `LARGE` rows all eigenvalues are computed. With more rows, the Ritz value θ of a Lanczos iteration is
    returned, if θ <= λ <= (1 + `EXCESS`) θ is proved: by a Cholesky factorisation of (1 + `EXCESS`) θ I - A Aᵀ, which
    exists for positive definite matrices alone (Rump 2006, Verification of positive definiteness, BIT 46(2)). That is a
    third of the time. Without the proof, all eigenvalues are computed after all.

    The errors of the floating-point Gram matrix and of the factorisation, m (n + m) ε ‖A‖²_F, are not counted.
    """
    gram = _lower_triangle(matrix)
    if len(matrix) > LARGE:
        full = gram.tril() + gram.tril(-1).T
        rng = torch.Generator().manual_seed(0)
        start = torch.randn(len(full), generator=rng, dtype=torch.float64, device="cpu").to(full)
        theta = leading_singular_value(lambda x: full @ x, lambda y: full @ y, start, tolerance=EXCESS / 4).sigma
        # In the place of the copy: large matrices fill the memory.
        full.neg_().diagonal().add_((1 + EXCESS) * theta)
        if int(torch.linalg.cholesky_ex(full).info) == 0:
            return gram.new_tensor(theta)
    largest: Tensor = torch.linalg.eigvalsh(gram)[-1].clamp_min(0)
    return largest


def _lower_triangle(matrix: Tensor) -> Tensor:
    """Return A Aᵀ; of a large one, what is above the blocks of the diagonal is zero."""
    if len(matrix) <= LARGE:
        return matrix @ matrix.T
    gram = matrix.new_zeros(len(matrix), len(matrix))
    for begin in range(0, len(matrix), BLOCK):
        end = begin + BLOCK
        torch.matmul(matrix[begin:end], matrix[:end].T, out=gram[begin:end, :end])
    return gram
