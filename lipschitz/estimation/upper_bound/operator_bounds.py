"""Certified upper bounds of linear layers and convolutions from their weight and arguments; each is computed once."""

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from lipschitz.estimation.sigma.gram_matrix import EXCESS, LARGE
from lipschitz.estimation.upper_bound.gram_iteration import convolution_bound, spectral_norm_bound
from lipschitz.estimation.upper_bound.nonnegative_maps import nonnegative_norm
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis, Kernel

MAX_DENSE_ENTRIES = 2**20
"""Largest number of entries of an operator's dense matrix that is computed; with groups, of each group's matrix."""
MAX_GROUPED_ENTRIES = 2**22
"""Largest number of entries of the dense matrices of all groups together."""

Padding = tuple[str, tuple[int, ...]]
"""Mode and torch's list of sizes of a circular, reflect or replicate padding."""


class OperatorBounds:
    """Bounds of operator norms that were computed before, by weight, arguments and input shape.

    Args:
        flops: floating-point operations that each bound may take; see `convolution_bound`.
    """

    def __init__(self, flops: float = math.inf) -> None:
        self._flops = flops
        self._known: dict[tuple[object, ...], float] = {}
        self._weights: list[Tensor] = []
        """Kept, so that no other tensor gets the id of a weight."""

    def bound(self, kernel: Kernel, shape: Sequence[int], padding: Padding | None = None) -> float:
        """Return an upper bound of the norm of the operator on one sample of ``shape``, ``(d_in, ...)``.

        ``padding`` is applied before the operator; the input then has ``shape`` before the padding.
        """
        key = self._key(kernel, shape, padding)
        if key not in self._known:
            self._weights.append(kernel.weight)
            self._known[key] = operator_bound(kernel, shape, padding, flops=self._flops)
        return self._known[key]

    def add_linear(self, weight: Tensor, sigma: float) -> None:
        """Take ``sigma``, computed as the root of the largest eigenvalue of the Gram matrix or by an SVD, in float64.

        The margin for rounding is that of `spectral_norm_bound`; of a large matrix, as in `largest_gram_eigenvalue`,
        that excess is added. Weights whose squares may underflow or overflow are
        left out.
        """
        peak = float(weight.abs().amax())
        if weight.dtype != torch.float64 or not 1e-100 < peak < 1e100:
            return
        rows, columns = sorted(weight.shape)
        size = float(torch.linalg.vector_norm(weight))
        margin = 8 * rows * (columns + 4) * torch.finfo(weight.dtype).eps
        sigma *= 1 + EXCESS if rows > LARGE else 1
        self._weights.append(weight)
        self._known[self._key(Kernel(weight), weight.shape[1:], None)] = math.hypot(sigma, math.sqrt(margin) * size)

    @staticmethod
    def _key(kernel: Kernel, shape: Sequence[int], padding: Padding | None) -> tuple[object, ...]:
        weight = kernel.weight
        if not kernel.dimensions:
            return id(weight), weight._version
        padded = kernel.padding if isinstance(kernel.padding, str) else tuple(kernel.padding)
        extra = tuple(kernel.output_padding) if kernel.transposed else None
        arguments = (tuple(kernel.stride), padded, tuple(kernel.dilation), kernel.groups, extra)
        return id(weight), weight._version, *arguments, tuple(shape), padding


def operator_bound(
    kernel: Kernel, shape: Sequence[int], padding: Padding | None = None, *, flops: float = math.inf
) -> float:
    """Return an upper bound of the norm of the operator, as in `OperatorBounds.bound`.

    A linear layer acts on the last axis alone: its operator on all positions has the norm of its weight.
    """
    if not torch.isfinite(kernel.weight).all():
        return math.inf
    if not kernel.dimensions:
        return float(convolution_bound(kernel.weight))
    if padding is None:
        bound = float(convolution_bound(kernel.weight, kernel.axes(shape[1:]), kernel.groups, flops=flops))
        return min(bound, _dense_bound(kernel, shape))
    mode, sides = padding
    if (axes := _circle(kernel, shape, padding)) is not None:
        return float(convolution_bound(kernel.weight, axes, kernel.groups, flops=flops))
    like = kernel.weight.new_zeros((1, *shape))
    padded = F.pad(like, sides, mode).shape[1:]
    bound = nonnegative_norm(lambda x: F.pad(x, sides, mode), like) * operator_bound(kernel, padded, flops=flops)
    return min(bound, _dense_bound(kernel, shape, padding))


class CircularAxis(ConvolutionAxis):
    """An axis of a convolution whose input is continued in a circle of ``size`` pixels, a multiple of the stride."""

    @cached_property
    def used_taps(self) -> slice:
        """All taps."""
        return slice(0, self.kernel)

    @cached_property
    def circle_size(self) -> int:
        """The size of the circle of each phase."""
        return self.size // self.stride


def _circle(kernel: Kernel, shape: Sequence[int], padding: Padding) -> list[CircularAxis] | None:
    """Return the axes of a circular convolution, or None if padding and kernel do not make one."""
    mode, sides = padding
    if mode != "circular" or kernel.transposed or any(kernel.padding) or set(kernel.dilation) != {1}:
        return None
    axes = []
    for axis, (size, taps, stride) in enumerate(zip(shape[1:], kernel.weight.shape[2:], kernel.stride, strict=True)):
        # torch lists the last axis first.
        last = 2 * (kernel.dimensions - 1 - axis)
        outputs = (size + sum(sides[last : last + 2]) - taps) // stride + 1
        if size % stride or outputs * stride != size:
            return None
        axes.append(CircularAxis(size, outputs, taps, stride))
    return axes


def _dense_bound(kernel: Kernel, shape: Sequence[int], padding: Padding | None = None) -> float:
    """Bound the operator by its dense matrix if that is small, else infinity: on small maps the circle is loose.

    With groups the matrix is block diagonal. The groups do not see each other, so one application to the unit vectors
    of every group at once gives all blocks.
    """
    groups, shape = kernel.groups, torch.Size(shape)
    inputs = shape.numel() // groups
    outputs = _padded_apply(kernel, kernel.weight.new_zeros((1, *shape)), padding).numel() // groups
    entries = max(inputs, outputs) * inputs
    if entries > MAX_DENSE_ENTRIES or entries * groups > max(MAX_GROUPED_ENTRIES, MAX_DENSE_ENTRIES):
        return math.inf
    unit = torch.eye(inputs, dtype=kernel.weight.dtype, device=kernel.weight.device)
    unit = unit.view(inputs, shape[0] // groups, *shape[1:]).repeat(1, groups, *[1] * len(shape[1:]))
    blocks = _padded_apply(kernel, unit, padding).view(inputs, groups, outputs).transpose(0, 1)
    return float(spectral_norm_bound(blocks, None).max())


def _padded_apply(kernel: Kernel, x: Tensor, padding: Padding | None) -> Tensor:
    return kernel.apply(x if padding is None else F.pad(x, padding[1], padding[0]))
