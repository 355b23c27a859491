"""Almost-orthogonal Lipschitz layers: the columns of every weight are rescaled so that its norm is at most one."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.polyphase import convolution_axes, polyphase_kernel

ALL = slice(None)


class AOL(Constraint):
    """Rescale the columns of every weight by (Σ_j |Wᵀ W|_ij)^(-1/2), which bounds its norm by one.

    Prach & Lampert 2022, Theorem 1; for a convolution W is the matrix of the operator, and a column's factor that of
    its input channel (Theorem 2): Σ_j Σ_δ |Σ_o Σ_b w_oi(b) w_oj(b + δ)|, for zero padding and any size of input. With
    a stride the pixels of a channel have a factor for each phase that the kernel tells apart.
    """

    source: ClassVar[str] = "Prach & Lampert 2022, arXiv:2208.03160, Theorems 1 and 2"
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "certified"

    coefficient: PositiveFloat = 1.0
    """c, the bound of every layer's Lipschitz constant."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._weight)

    def check(self, net: nn.Module) -> None:
        """Refuse a network that other methods made unbounded."""
        check_certified(self.name(), net, RescaledColumns)

    def _weight(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        return RescaledColumns(self.coefficient, groups, [axis.phases for axis in convolution_axes(layer, shape)])


class RescaledColumns(CertifiedWeight):
    """W -> c W D with the diagonal D of the theorem; a transposed convolution through the kernel of its adjoint."""

    def __init__(self, coefficient: float, groups: int, phases: Sequence[int]) -> None:
        super().__init__(coefficient)
        self.groups, self.phases = groups, tuple(phases)

    def bounded(self, weight: Tensor) -> Tensor:
        """Return W D in float64; a zero column, which any factor leaves zero, has the factor one."""
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

    ``kernels``: ``(g, d_out, d_in, b_1, b_2, ...)``. Of δ and -δ, whose correlations are each other's transpose, only
    one is computed.
    """
    sums = kernels.new_zeros(len(kernels), kernels.shape[2])
    for shift, (here, there) in _overlaps(kernels.shape[3:]):
        left, right = (kernels[(ALL, ALL, ALL, *part)].transpose(1, 2).flatten(2) for part in (here, there))
        correlation = (left @ right.mT).abs()
        sums = sums + correlation.sum(2)
        if any(shift):
            sums = sums + correlation.sum(1)
    return sums


def _overlaps(taps: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[tuple[slice, ...], tuple[slice, ...]]]]:
    """Yield one of each pair of shifts δ, -δ, with the parts of a kernel that meet when it is moved by δ."""
    for shift in product(*(range(1 - n, n) for n in taps)):
        if shift >= (0,) * len(shift):
            here = tuple(slice(max(0, -d), n - max(0, d)) for d, n in zip(shift, taps, strict=True))
            there = tuple(slice(max(0, d), n - max(0, -d)) for d, n in zip(shift, taps, strict=True))
            yield shift, (here, there)
