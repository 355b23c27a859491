"""Certified upper bound of a layer's operator norm by Gram iteration in the Fourier domain, at its true input size."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lipschitz.estimation.circular_convolution import polyphase_kernel
from lipschitz.estimation.layers import AffineLayer
from lipschitz.estimation.sigma.gram_matrix import EXCESS, LARGE, largest_gram_eigenvalue
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis, convolution_axes

LEAST_FREQUENCIES = 4
"""Fewest frequencies by axis on a grid that is smaller than the circle, as a multiple of the kernel's degree: with
this many, the bound is at most 8.3 % above the norm at all frequencies, by axis."""
MAX_BLOCK_ENTRIES = 2**22
"""Largest number of complex entries of the Fourier blocks that are in memory at a time: 64 MiB."""


def operator_bound(layer: AffineLayer, input_shape: Sequence[int], *, iterations: int | None = None) -> Tensor:
    """Return an upper bound of the norm of the operator that ``layer`` applies to one sample ``(c, ...)``.

    It is never below the true value, rounding included. For a Linear layer it is the true value. For a convolution it
    is the norm of a circular convolution on a circle that holds the zero-padded input. ``iterations`` is as in
    `convolution_bound`.

    Returns:
        A scalar of the weight's dtype, differentiable by the weight.

    Raises:
        ValueError: a padding mode other than zeros.
    """
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    return convolution_bound(layer.weight, convolution_axes(layer, input_shape), groups, iterations=iterations)


def overlap_factor(layer: AffineLayer, input_shape: Sequence[int]) -> float:
    """Return f such that f times σ of the reshaped kernel bounds the operator norm; with groups, the largest group's σ.

    The kernel is reshaped as stored, to ``(n, ...)``. The layer applies it to windows of its input, and each pixel lies
    in at most f² windows: the product over the axes of ceil(k gcd(s, d) / s), or fewer on small maps. A transposed
    convolution stores ``(d_in, d_out, ...)``, the kernel of its adjoint, so the stored form is the one to reshape.

    Raises:
        ValueError: a padding mode other than zeros.
    """
    return math.sqrt(math.prod(axis.windows_per_input for axis in convolution_axes(layer, input_shape)))


def convolution_bound(
    weight: Tensor,
    axes: Sequence[ConvolutionAxis] = (),
    groups: int = 1,
    *,
    iterations: int | None = None,
    flops: float = math.inf,
) -> Tensor:
    """Bound the norm of a convolution by the norm of a circular one, whose Fourier transform is block diagonal.

    Args:
        weight: ``(d_out, d_in / groups, k_1, k_2, ...)``, or ``(d_out, d_in)`` with no axes.
        axes: the axes that are convolved; see `lipschitz.estimation.upper_bound.polyphase`.
        groups: of channels; the operator's norm is the largest of the groups'.
        iterations: of Gram iteration in the block of each frequency (Delattre et al. 2023, arXiv:2305.16173, Sec. 4).
            The result is at most r^(2^-(iterations + 1)) times the block's norm, r its smaller side. None computes the
            block's eigenvalues instead: exact, on a CPU as fast as about four iterations, but not possible in a CUDA
            graph.
        flops: floating-point operations that may be spent, about; with fewer than the circle takes, the bound is that
            of a smaller grid of frequencies, see `_grid`.

    Returns:
        A scalar of the weight's dtype. It is computed in float64. A margin for rounding is added: relatively below 1e-7
        for blocks up to 512 x 4608, plus one unit in the last place of the weight's dtype.
    """
    kernel = weight.to(torch.promote_types(weight.dtype, torch.float64))
    # Scales are detached: they cancel, so they have no gradient.
    peak = kernel.detach().abs().amax()
    kernel = kernel * _reciprocal(peak)
    size = torch.linalg.vector_norm(kernel.detach())
    used = kernel[(slice(None), slice(None), *(axis.used_taps for axis in axes))]
    kernel = polyphase_kernel(used, [axis.phases for axis in axes])
    sizes, factor = _grid([axis.circle_size for axis in axes], kernel, groups, flops)
    fourier = _fourier_factors(sizes, kernel.shape[2:], kernel.device)
    taps = kernel.reshape(groups, len(kernel) // groups, kernel.shape[1], -1).movedim(-1, 0)
    with torch.no_grad():
        frequencies_at_a_time = max(1, MAX_BLOCK_ENTRIES // taps[0].numel())
        bounds = [
            spectral_norm_bound(_blocks(part, taps), iterations) for part in torch.split(fourier, frequencies_at_a_time)
        ]
        bound, worst = torch.cat(bounds).flatten().max(dim=0)
    if taps.requires_grad and torch.is_grad_enabled():
        # Only the largest block has a gradient, so it alone is computed again with a graph.
        frequency, group = (worst // groups).view(1), (worst % groups).view(1)
        block = _blocks(fourier.index_select(0, frequency), taps.index_select(1, group))
        largest = spectral_norm_bound(block, iterations).squeeze()
        bound = largest + (bound - largest).detach()
    # Each entry of a block is a sum over the taps, with a rounding error of at most (taps + 8) ε Σ|w|.
    slack = (len(taps) + 8) * math.sqrt(len(taps)) * torch.finfo(kernel.dtype).eps
    bound = peak * factor * (bound + slack * size) * (1 + torch.finfo(weight.dtype).eps)
    rounded: Tensor = bound.to(weight.dtype)
    return rounded


def spectral_norm_bound(matrices: Tensor, iterations: int | None) -> Tensor:
    """Bound the spectral norms of ``matrices`` ``(..., m, n)``, float64 or complex128, from above; return ``(...)``.

    Gram iteration: ‖A‖ = ‖A Aᴴ‖^(1/2) <= ‖(A Aᴴ)²‖_F^(1/4) <= ... Each iteration squares the matrix, and the Frobenius
    norm of the last one gives the bound. The more the largest singular value stands out, the tighter the bound. Every
    matrix is divided by its Frobenius norm, as in arXiv:2305.16173, Sec. 3. These norms are constants to the gradient:
    they do not change it. With ``iterations`` None the largest eigenvalue of A Aᴴ is used instead; of one large matrix
    without a gradient, an upper bound by `largest_gram_eigenvalue`.

    A margin for rounding is added to every square. With ‖A‖_F = 1 and m <= n the computed A Aᴴ has an error below
    (n + 4) ε in the Frobenius norm (Higham 2002, Sec. 3.5 and 3.6). So it is not exactly Hermitian, and the error of
    its square is 2 √m times as large. A norm or an eigenvalue adds less than m² ε. The sum is below 8 m (n + 4) ε.
    """
    if matrices.shape[-2] > matrices.shape[-1]:
        matrices = matrices.mT
    margin = 8 * matrices.shape[-2] * (matrices.shape[-1] + 4) * torch.finfo(matrices.dtype).eps
    scale = _frobenius(matrices.detach())
    power = matrices * _reciprocal(scale)
    norms = []
    one = power.numel() == math.prod(power.shape[-2:]) and not power.is_complex() and not power.requires_grad
    if iterations is None and one and power.shape[-2] > LARGE:
        squared = (1 + EXCESS) * largest_gram_eigenvalue(power.view(power.shape[-2:]))
        bound = (squared + margin).sqrt().view_as(scale)
    elif iterations is None:
        squared = torch.linalg.eigvalsh(power @ power.mH)[..., -1:, None].clamp_min(0)
        bound = (squared + margin).sqrt()
    else:
        for i in range(iterations):
            # Hermitian after the first iteration. A product without a conjugation costs half.
            power = power @ (power if i else power.mH)
            norms.append(_frobenius(power.detach()))
            power = power * _reciprocal(norms[-1])
        bound = _frobenius(power) + margin
        for norm in reversed(norms):
            bound = (norm * bound + margin).sqrt()
    bounds: Tensor = (scale * bound)[..., 0, 0]
    return bounds


def _grid(circle: list[int], kernel: Tensor, groups: int, flops: float) -> tuple[list[int], float]:
    """Return the number of frequencies by axis, and the factor by which the norms at all others may exceed these.

    For a vector u, p(ω) = ‖A(ω) u‖² is a trigonometric polynomial of degree d = taps - 1 in each axis, with values in
    [0, M]. By M. Riesz's lemma a polynomial of degree d with |q| <= M / 2 that is M / 2 at ω₀ is at least
    (M / 2) cos(d (ω - ω₀)) for |ω - ω₀| <= π / d. So p(ω) = q(ω) + M / 2 >= M cos²(d (ω - ω₀) / 2). One of N
    frequencies is within π / N of ω₀, so the largest norm at them is at least cos(π d / 2 N) times the largest of all.
    """
    rows, columns = sorted((len(kernel) // groups, kernel.shape[1]))
    block = 8.0 * rows**2 * columns + 20.0 * rows**3
    share = (flops / (block * groups * math.prod(circle) / 2)) ** (1 / max(len(circle), 1))
    sizes, factor = [], 1.0
    for size, taps in zip(circle, kernel.shape[2:], strict=True):
        degree = taps - 1
        wanted = max(math.ceil(min(share, 1.0) * size), LEAST_FREQUENCIES * degree, 1)
        sizes.append(min(wanted, size))
        factor /= math.cos(math.pi * degree / (2 * wanted)) if wanted < size else 1.0
    return sizes, factor


def _fourier_factors(sizes: Sequence[int], taps: Sequence[int], device: torch.device) -> Tensor:
    """Return exp(-2πi Σ f b / size) for every frequency f and tap b, ``(frequencies, Πtaps)``.

    The blocks of f and -f are conjugates, so only one of each pair is returned. Real if zero is the only frequency.
    """
    turns = torch.zeros(1, 1, dtype=torch.float64, device=device)
    for axis, (size, width) in enumerate(zip(sizes, taps, strict=True)):
        kept = size // 2 + 1 if axis == len(sizes) - 1 else size
        # Whole turns are dropped in integers, since a large angle would lose digits.
        products = torch.arange(kept, device=device).outer(torch.arange(width, device=device)) % size
        turns = (turns[:, None, :, None] + (products.to(turns.dtype) / size)[:, None, :]).flatten(2).flatten(0, 1)
    if math.prod(sizes) == 1:
        return torch.ones_like(turns)
    return torch.polar(torch.ones_like(turns), -2 * math.pi * turns)


def _blocks(fourier: Tensor, taps: Tensor) -> Tensor:
    """Return the blocks ``(frequencies, groups, d_out / groups, d_in)`` of ``taps`` ``(Πtaps, groups, ...)``."""
    return (fourier @ taps.flatten(1).to(fourier.dtype)).view(len(fourier), *taps.shape[1:])


def _frobenius(matrices: Tensor) -> Tensor:
    """Return the Frobenius norms ``(..., 1, 1)``; complex entries as pairs of reals, since their abs() is slow."""
    entries = torch.view_as_real(matrices).flatten(-2) if matrices.is_complex() else matrices
    norms: Tensor = torch.linalg.vector_norm(entries, dim=(-2, -1), keepdim=True)
    return norms


def _reciprocal(norms: Tensor) -> Tensor:
    return norms.clamp_min(torch.finfo(norms.dtype).tiny).reciprocal()
