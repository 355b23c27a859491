"""Means, norms, singular values and smallest entries of float64 tensors: by NumPy on the CPU, by torch on a GPU.

On the CPU the order of summation is NumPy's, with which the committed results were measured. On a GPU nothing is copied
to the host. The results of both differ by rounding.
"""

import numpy as np
import torch
from torch import Tensor


def column_means(x: Tensor) -> Tensor:
    """Return the mean of the rows of ``x``, ``(d,)`` of ``(n, d)``."""
    return torch.from_numpy(x.numpy().mean(axis=0)) if x.is_cpu else x.mean(dim=0)


def squared_row_norms(x: Tensor) -> Tensor:
    """Return the squared Euclidean norm of each row, ``(n,)`` of ``(n, d)``."""
    return torch.from_numpy(np.einsum("ij,ij->i", x.numpy(), x.numpy())) if x.is_cpu else x.square().sum(dim=1)


def sum_of_squares(x: Tensor) -> float:
    """Return the sum of the squares of all entries."""
    return float(np.sum(x.numpy() ** 2) if x.is_cpu else x.square().sum())


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return the product of ``a`` and ``b``, which may be vectors, as for ``a @ b``."""
    return torch.from_numpy(np.asarray(a.numpy() @ b.numpy())) if a.is_cpu else a @ b


def nuclear_norm(x: Tensor) -> float:
    """Return the sum of the singular values of ``x`` ``(m, n)``.

    On a GPU they are the eigenvalues that are not negative of the symmetric matrix with the blocks x and xᵀ beside its
    diagonal (Golub and Van Loan 2013, Matrix Computations, section 8.6.1). Those of x xᵀ would have the square roots of
    rounding errors.
    """
    if x.is_cpu:
        return float(np.linalg.svd(x.numpy(), compute_uv=False).sum())
    m, n = x.shape
    symmetric = x.new_zeros(m + n, m + n)
    symmetric[:m, m:], symmetric[m:, :m] = x, x.mT
    # Of each pair ±σ one; the others are zero.
    return float(torch.linalg.eigvalsh(symmetric).abs().sum() / 2)


def smallest(rows: Tensor, count: int) -> Tensor:
    """Return the ``count`` smallest entries of each row, in any order, ``(n, count)`` of ``(n, d)``.

    On the CPU ``rows`` is overwritten: NumPy partitions in place, several times as fast as torch.
    """
    if not rows.is_cpu:
        return rows.topk(count, dim=1, largest=False, sorted=False).values
    entries = rows.numpy()
    entries.partition(count - 1, axis=1)
    return torch.from_numpy(entries[:, :count])
