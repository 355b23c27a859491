"""Certified upper bounds of a layer's operator norm, at its true input size, stride and padding."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.polyphase import Axis, axes, polyphase

BLOCK = 2**22
"""Largest number of complex entries of the blocks that are held at a time: 64 MiB."""


def operator_bound(layer: WeightedLayer, input_shape: Sequence[int], *, iterations: int | None = None) -> Tensor:
    """Return an upper bound of the norm of the operator that ``layer`` applies to one sample ``(c, ...)``.

    Never below the true value, rounding included. For a Linear layer it is that value; for a convolution, the largest
    over a circle that holds the zero-padded input. A scalar of the weight's dtype, differentiable by the weight;
    ``iterations`` as in `convolution_bound`.

    Raises:
        ValueError: a padding mode other than zeros.
    """
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    return convolution_bound(layer.weight, axes(layer, input_shape), groups, iterations=iterations)


def reshaped_factor(layer: WeightedLayer, input_shape: Sequence[int]) -> float:
    """Return f such that σ of the stored kernel, reshaped to ``(n, ...)`` and per group, times f bounds the operator.

    The layer applies the reshaped kernel to windows of its input, and a pixel lies in at most f² of them: the product
    over the axes of ceil(k gcd(s, d) / s), and fewer on small maps. A transposed convolution stores ``(d_in, d_out,
    ...)``, the kernel of its adjoint, which is the one to reshape.

    Raises:
        ValueError: a padding mode other than zeros.
    """
    return math.sqrt(math.prod(axis.windows for axis in axes(layer, input_shape)))


def convolution_bound(
    weight: Tensor, along: Sequence[Axis] = (), groups: int = 1, *, iterations: int | None = None
) -> Tensor:
    """Bound the norm of a convolution by that of a circular one, whose Fourier transform has a block a frequency.

    Args:
        weight: ``(d_out, d_in / groups, k_1, k_2, ...)``, or ``(d_out, d_in)`` with no axes.
        along: the axes that are convolved; see `lipschitz.estimation.upper_bound.polyphase`.
        groups: of channels; the operator's norm is the largest of theirs.
        iterations: of Gram iteration in each block (Delattre et al. 2023, arXiv:2305.16173, Sec. 4), which is at
            most r^(2^-(iterations + 1)) times the block's norm, r its smaller side; None for the block's eigenvalues,
            exact, and on a CPU as fast as about four iterations, but not to be captured in a CUDA graph.

    Returns:
        A scalar of the weight's dtype. All is computed in float64, where the margin that covers rounding is below
        1e-7 for blocks up to 512 x 4608, and added in the weight's dtype as one unit in the last place.
    """
    kernel = weight.to(torch.promote_types(weight.dtype, torch.float64))
    # To the gradient a constant, like every scale: it cancels.
    peak = kernel.detach().abs().amax()
    kernel = kernel * _reciprocal(peak)
    size = torch.linalg.vector_norm(kernel.detach())
    kernel = polyphase(kernel[(slice(None), slice(None), *(axis.taps for axis in along))], [a.phases for a in along])
    waves = _waves([axis.cells for axis in along], kernel.shape[2:], kernel.device)
    taps = kernel.reshape(groups, len(kernel) // groups, kernel.shape[1], -1).movedim(-1, 0)
    with torch.no_grad():
        at_a_time = max(1, BLOCK // taps[0].numel())
        parts = torch.split(waves, at_a_time)
        bound, worst = torch.cat([gram_norm(_blocks(part, taps), iterations) for part in parts]).flatten().max(dim=0)
    if taps.requires_grad and torch.is_grad_enabled():
        # Only the largest block has a gradient: no graph of the others is kept.
        frequency, group = (worst // groups).view(1), (worst % groups).view(1)
        block = _blocks(waves.index_select(0, frequency), taps.index_select(1, group))
        largest = gram_norm(block, iterations).squeeze()
        bound = largest + (bound - largest).detach()
    # Each entry of a block is a sum over the taps, wrong by no more than (taps + 8) ε Σ|w|.
    slack = (len(taps) + 8) * math.sqrt(len(taps)) * torch.finfo(kernel.dtype).eps
    bound = peak * (bound + slack * size) * (1 + torch.finfo(weight.dtype).eps)
    rounded: Tensor = bound.to(weight.dtype)
    return rounded


def gram_norm(matrices: Tensor, iterations: int | None) -> Tensor:
    """Bound the spectral norms of ``matrices`` ``(..., m, n)``, float64 or complex128, from above; ``(...)``.

    ‖A‖ = ‖A Aᴴ‖^(1/2) <= ‖(A Aᴴ)²‖_F^(1/4) <= ...: each iteration squares, and the Frobenius norm that ends the chain
    is the tighter the more the largest singular value stands out. Every matrix is divided by its Frobenius norm, as in
    arXiv:2305.16173, Sec. 3; those norms are constants to the gradient, which they do not change.

    The margin, added to every square: with ‖A‖_F = 1 and m <= n a computed A Aᴴ is wrong by less than (n + 4) ε in the
    Frobenius norm (Higham 2002, Sec. 3.5 and 3.6), so that it is not quite Hermitian and its square wrong by 2 √m times
    as much, and a norm or an eigenvalue of it by less than m² ε: less than 8 m (n + 4) ε together.
    """
    if matrices.shape[-2] > matrices.shape[-1]:
        matrices = matrices.mT
    margin = 8 * matrices.shape[-2] * (matrices.shape[-1] + 4) * torch.finfo(matrices.dtype).eps
    scale = _frobenius(matrices.detach())
    power = matrices * _reciprocal(scale)
    norms = []
    if iterations is None:
        squared = torch.linalg.eigvalsh(power @ power.mH)[..., -1:, None].clamp_min(0)
        bound = (squared + margin).sqrt()
    else:
        for i in range(iterations):
            # Hermitian from the first on, and a product with what is not conjugated costs half.
            power = power @ (power if i else power.mH)
            norms.append(_frobenius(power.detach()))
            power = power * _reciprocal(norms[-1])
        bound = _frobenius(power) + margin
        for norm in reversed(norms):
            bound = (norm * bound + margin).sqrt()
    bounds: Tensor = (scale * bound)[..., 0, 0]
    return bounds


def _waves(cells: Sequence[int], taps: Sequence[int], device: torch.device) -> Tensor:
    """Return exp(-2πi Σ f b / cells) for every frequency f and tap b, ``(frequencies, Πtaps)``.

    Of each pair f, -f of conjugate blocks only one is kept. Real where the only frequency is zero.
    """
    turns = torch.zeros(1, 1, dtype=torch.float64, device=device)
    for axis, (size, width) in enumerate(zip(cells, taps, strict=True)):
        kept = size // 2 + 1 if axis == len(cells) - 1 else size
        # Whole turns are dropped while they are integers: a large angle would lose digits.
        products = torch.arange(kept, device=device).outer(torch.arange(width, device=device)) % size
        turns = (turns[:, None, :, None] + (products.to(turns.dtype) / size)[:, None, :]).flatten(2).flatten(0, 1)
    if math.prod(cells) == 1:
        return torch.ones_like(turns)
    return torch.polar(torch.ones_like(turns), -2 * math.pi * turns)


def _blocks(waves: Tensor, taps: Tensor) -> Tensor:
    """Return the blocks ``(frequencies, groups, d_out / groups, d_in)`` of ``taps`` ``(Πtaps, groups, ...)``."""
    return (waves @ taps.flatten(1).to(waves.dtype)).view(len(waves), *taps.shape[1:])


def _frobenius(matrices: Tensor) -> Tensor:
    """Return the Frobenius norms ``(..., 1, 1)``; of complex entries without their absolute values, which are slow."""
    entries = torch.view_as_real(matrices).flatten(-2) if matrices.is_complex() else matrices
    norms: Tensor = torch.linalg.vector_norm(entries, dim=(-2, -1), keepdim=True)
    return norms


def _reciprocal(norms: Tensor) -> Tensor:
    return norms.clamp_min(torch.finfo(norms.dtype).tiny).reciprocal()
