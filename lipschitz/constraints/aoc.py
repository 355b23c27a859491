"""Adaptive orthogonal convolution (AOC): kernels composed of projections (BCOP) and a reshaped orthonormal kernel."""

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.bjorck import orthonormalized
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis, convolution_axes

ALL = slice(None)


class AOC(Constraint):
    """Compose every kernel of orthogonal convolutions, so that the layer is orthogonal away from the border.

    Factors P + (I - P) z, with P an orthogonal projection and z a shift by one tap, are orthogonal convolutions of two
    taps along one axis (BCOP; Li et al. 2019, arXiv:1911.00937, Sec. 4). A kernel of size k and stride s is the product
    of k - s of them for each axis, and of an orthonormal reshaped kernel of size s, whose windows are disjoint (AOC).
    With stride one and more outputs than inputs the factors follow that matrix; else they precede it. A dilation d
    spreads the taps, and s is then s / gcd(s, d). Linear layers are as in `bjorck`.

    The raw weight keeps its shape. Its central s taps make the reshaped kernel. Its other taps make the projections
    V Vᵀ, V with as many columns as they suffice for, at most half the channels. Both are orthonormalised by Björck's
    iteration, as in the authors' code. After any number of iterations no singular value of V exceeds one, so the
    bound holds; zero padding keeps it. From weights that are zero off the centre (``init: dirac``) the projections stay
    zero, and only the matrix is trained. Taps that meet nothing but padding are zero.
    """

    source = "Boissin et al. 2025, arXiv:2501.07930, Sec. 3; BCOP: Li et al. 2019, arXiv:1911.00937, Sec. 4"
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
        check_certified(self.name(), net, ComposedKernel)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        return ComposedKernel(self.coefficient, self.iterations, groups, convolution_axes(layer, shape))


class ComposedKernel(CertifiedWeight):
    """Reparametrisation W -> c R ∘ (product of factors P + (I - P) z), one composition per group.

    A transposed convolution stores the kernel of its adjoint, which is composed instead; it has the same norm.
    """

    def __init__(self, coefficient: float, iterations: int, groups: int, axes: Sequence[ConvolutionAxis]) -> None:
        super().__init__(coefficient)
        self.iterations, self.groups = iterations, groups
        self.used = tuple(axis.used_taps for axis in axes)
        self.taps = tuple(taps.stop - taps.start for taps in self.used)
        self.window = tuple(min(n, axis.phases) for n, axis in zip(self.taps, axes, strict=True))
        shifts = [n - window for n, window in zip(self.taps, self.window, strict=True)]
        # The axes take turns, as in the paper.
        turns = range(max(shifts, default=0))
        self.factors = [(axis, turn % 2 == 0) for turn in turns for axis, n in enumerate(shifts) if turn < n]

    def bounded(self, weight: Tensor) -> Tensor:
        """Return the composed kernel in float64."""
        raw = weight.reshape(self.groups, -1, *weight.shape[1:])
        outputs, inputs, window = raw.shape[1], raw.shape[2], math.prod(self.window)
        first = window == 1 and outputs > inputs
        inner = self._inner_channels(outputs, inputs)
        matrix, rest = self._split(raw, outputs, inputs if first else inner * window)
        matrix = orthonormalized(matrix, self.iterations)
        channels = outputs if first else inner
        columns = min(channels // 2, rest.shape[1] // (channels * max(len(self.factors), 1)))
        count = len(self.factors)
        frames = rest[:, : count * channels * columns].reshape(self.groups * count, channels, columns)
        frames = orthonormalized(frames, self.iterations) if frames.numel() else frames.double()
        ones = (1,) * len(self.taps)
        if first:
            kernel = matrix.view(*matrix.shape, *ones)
        else:
            # Inputs are the first of the inner channels.
            eye = torch.eye(inner, inputs, dtype=matrix.dtype, device=matrix.device)
            kernel = eye.expand(self.groups, -1, -1).reshape(self.groups, inner, inputs, *ones)
        kernel = self._with_factors(kernel, frames.view(self.groups, count, channels, columns))
        if not first:
            kernel = self._composed(matrix.view(self.groups, outputs, inner, *self.window), kernel)
        return with_unused_taps(kernel.flatten(0, 1), self.used, weight)

    def _inner_channels(self, outputs: int, inputs: int) -> int:
        """Return the channels between the factors and the reshaped kernel.

        The authors take max(inputs, outputs / Πwindow). Here at most half the raw weight's entries are spent on the
        reshaped kernel where that needs more than the inputs.
        """
        window: int = math.prod(self.window)
        if window == 1:
            return inputs
        affordable: int = inputs * math.prod(self.taps) // (2 * window)
        return max(inputs, min(outputs // window, affordable))

    def _split(self, raw: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Return the raw matrix ``(g, rows, columns)``, central taps first, and all other entries ``(g, m)``."""
        raw = raw[(ALL, ALL, ALL, *self.used)]
        central = tuple(
            slice((n - window) // 2, (n - window) // 2 + window)
            for n, window in zip(self.taps, self.window, strict=True)
        )
        centre = raw[(ALL, ALL, ALL, *central)].flatten(2)
        inside = set(product(*(range(part.start, part.stop) for part in central)))
        every = zip(product(*(range(n) for n in self.taps)), raw.reshape(*raw.shape[:3], -1).unbind(3), strict=True)
        others = [entries for tap, entries in every if tap not in inside]
        around = torch.stack(others, dim=1).flatten(1) if others else centre.new_empty(len(raw), 0)
        missing = rows * (columns - centre.shape[2])
        matrix = torch.cat([centre, around[:, :missing].reshape(len(raw), rows, -1)], dim=2) if missing else centre
        return matrix, around[:, missing:]

    def _with_factors(self, kernel: Tensor, frames: Tensor) -> Tensor:
        """Compose ``kernel`` ``(g, c, d, t_1, ...)`` with a factor for each of ``frames`` ``(g, n, c, r)``.

        Every second factor is (I - P) + P z, so that factors without columns keep the kernel at its centre.
        """
        for frame, (axis, swapped) in zip(frames.unbind(1), self.factors, strict=True):
            projected = (frame @ (frame.mT @ kernel.flatten(2))).view_as(kernel)
            kept, shifted = projected, kernel - projected
            if swapped:
                kept, shifted = shifted, kept
            kernel = _padded(kept, axis, 0, 1) + _padded(shifted, axis, 1, 0)
        return kernel

    def _composed(self, last: Tensor, kernel: Tensor) -> Tensor:
        """Return the kernel that applies ``kernel`` ``(g, c, d, t_1, ...)``, then ``last`` ``(g, o, c, s_1, ...)``."""
        total: Tensor | None = None
        matrices = last.reshape(*last.shape[:3], -1).unbind(3)
        for tap, matrix in zip(product(*(range(n) for n in self.window)), matrices, strict=True):
            part = (matrix @ kernel.flatten(2)).view(len(last), -1, *kernel.shape[2:])
            for axis, (before, window) in enumerate(zip(tap, self.window, strict=True)):
                part = _padded(part, axis, before, window - 1 - before)
            total = part if total is None else total + part
        assert total is not None
        return total


def with_unused_taps(kernel: Tensor, used: Sequence[slice], weight: Tensor) -> Tensor:
    """Return ``kernel`` ``(o, i, ...)`` of the ``used`` taps with zeros for the others of ``weight``."""
    for axis, (taps, n) in enumerate(zip(used, weight.shape[2:], strict=True)):
        kernel = _padded(kernel.unsqueeze(0), axis, taps.start, n - taps.stop).squeeze(0)
    return kernel


def _padded(kernel: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Pad the taps along ``axis`` of ``kernel`` ``(g, o, i, t_1, ...)`` with zeros."""
    trailing = (0, 0) * (kernel.dim() - 4 - axis)
    return F.pad(kernel, (*trailing, before, after)) if before or after else kernel
