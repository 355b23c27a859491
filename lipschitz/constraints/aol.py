"""Almost-orthogonal Lipschitz layers (AOL): a diagonal rescaling bounds every layer's operator norm by one."""

from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor, nn

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.estimation.circular_convolution import polyphase_kernel
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.polyphase import convolution_axes

ALL = slice(None)


class AOL(Constraint):
    """Rescale column i of every weight by (Σ_j |WᵀW|_ij)^(-1/2), so that the layer's norm is at most one.

    Linear layers: Prach & Lampert 2022, Theorem 1. Convolutions: W is the matrix of the operator, and all columns of
    input channel i share the sum Σ_j Σ_δ |Σ_o Σ_b w_oi(b) w_oj(b + δ)| (Theorem 2). The bound holds for zero padding
    and any input size. With a stride, pixels of a channel in different phases meet different taps of the kernel, and
    each phase has its own sum.
    """

    source = "Prach & Lampert 2022, arXiv:2208.03160, Theorems 1 and 2"
    promise = "certified"
    scale_invariant = True
    start = "dirac"

    coefficient: Bound = 1.0
    """c, the bound of every layer's Lipschitz constant."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._parametrization)

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, RescaledColumns)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        return RescaledColumns(self.coefficient, groups, [axis.phases for axis in convolution_axes(layer, shape)])


class RescaledColumns(CertifiedWeight):
    """W -> c W D, with D the diagonal matrix of the theorem.

    A transposed convolution is rescaled as its adjoint, an ordinary convolution with the same kernel and norm.
    """

    def __init__(self, coefficient: float, groups: int, phases: Sequence[int]) -> None:
        super().__init__(coefficient)
        self.groups, self.phases = groups, tuple(phases)

    def bounded(self, weight: Tensor) -> Tensor:
        """Return W D in float64; a zero column stays zero."""
        kernel = weight.double()
        grouped = kernel.view(self.groups, -1, *kernel.shape[1:])
        ordinary = polyphase_kernel(kernel, self.phases)
        sums = self_correlation_sums(ordinary.view(self.groups, -1, *ordinary.shape[1:]))
        factors = torch.where(sums > 0, sums, 1.0).rsqrt()
        factors = factors.view(self.groups, 1, weight.shape[1], *self.phases)
        for dim, (taps, phases) in enumerate(zip(weight.shape[2:], self.phases, strict=True), start=3):
            phase_of_tap = torch.arange(taps, device=weight.device) % phases
            factors = factors.index_select(dim, phase_of_tap)
        return (grouped * factors).view_as(kernel)


def self_correlation_sums(kernels: Tensor) -> Tensor:
    """Return Σ_j Σ_δ |Σ_o Σ_b w_oi(b) w_oj(b + δ)| for each input channel i of each group, ``(g, d_in)``.

    ``kernels``: ``(g, d_out, d_in, b_1, b_2, ...)``.
    """
    sums = kernels.new_zeros(len(kernels), kernels.shape[2])
    for correlation, twice in absolute_correlations(kernels):
        sums = sums + correlation.sum(2)
        if twice:
            sums = sums + correlation.sum(1)
    return sums


def absolute_correlations(kernels: Tensor) -> Iterator[tuple[Tensor, bool]]:
    """Yield |Σ_o Σ_b w_oi(b) w_oj(b + δ)| ``(g, d_in, d_in)`` for one shift δ of each pair (δ, -δ), and whether δ != 0.

    ``kernels``: ``(g, d_out, d_in, b_1, b_2, ...)``. The correlations at δ and -δ are transposes of each other.
    """
    for shift, (here, there) in _overlapping_slices(kernels.shape[3:]):
        left, right = (kernels[(ALL, ALL, ALL, *part)].transpose(1, 2).flatten(2) for part in (here, there))
        yield (left @ right.mT).abs(), any(shift)


def _overlapping_slices(
    taps: Sequence[int],
) -> Iterator[tuple[tuple[int, ...], tuple[tuple[slice, ...], tuple[slice, ...]]]]:
    """Yield one shift δ of each pair (δ, -δ), with the slices where a kernel and the kernel shifted by δ overlap."""
    for shift in product(*(range(1 - n, n) for n in taps)):
        if shift >= (0,) * len(shift):
            here = tuple(slice(max(0, -d), n - max(0, d)) for d, n in zip(shift, taps, strict=True))
            there = tuple(slice(max(0, d), n - max(0, -d)) for d, n in zip(shift, taps, strict=True))
            yield shift, (here, there)
