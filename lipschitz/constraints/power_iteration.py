"""Power iteration on a layer's reshaped kernel, its vectors kept in buffers from one update to the next."""

import torch
from torch import Tensor


@torch.no_grad()
def leading_vectors(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the leading left and right singular vectors ``(m,)`` and ``(n,)`` of ``matrix`` ``(m, n)``, by SVD.

    Algorithm 1 of arXiv:1802.05957 starts from a random u. Starting from its limit makes the first forward pass right
    in whatever mode it happens, and draws no random numbers.
    """
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u[:, 0].clone(), vh[0].clone()


@torch.no_grad()
def advance(matrix: Tensor, u: Tensor, v: Tensor, iterations: int) -> None:
    """Take steps of power iteration in place: v <- Wᵀu/‖Wᵀu‖, then u <- Wv/‖Wv‖ (arXiv:1802.05957, Algorithm 1)."""
    for _ in range(iterations):
        torch.nn.functional.normalize(torch.mv(matrix.T, u), dim=0, out=v)
        torch.nn.functional.normalize(torch.mv(matrix, v), dim=0, out=u)
