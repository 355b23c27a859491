"""Block convolution orthogonal parameterization (BCOP): pixels rearranged for a stride, then orthogonal factors."""

import torch
from torch import Tensor, nn

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.aoc import ComposedKernel, with_unused_taps
from lipschitz.constraints.base import Constraint, Refusal
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis, convolution_axes


class BCOP(Constraint):
    """Compose every kernel of orthogonal convolutions with two taps, so that the layer is orthogonal off the border.

    A factor P + (I - P) z has P an orthogonal projection and z a shift by one tap (Li et al. 2019, Sec. 4). A stride s
    is an invertible downsampling (Jacobsen et al. 2018), as in the authors' code: the s² pixels of a block become
    channels, and a convolution without stride follows. So a kernel of size k has k / s taps for each axis. It is the
    product of k / s - 1 factors for each axis and of an orthonormal matrix. ``aoc`` differs for strides alone: it has
    k - s factors on fewer channels and an orthonormal kernel of size s. Linear layers are as in ``bjorck``.

    The raw weight keeps its shape, and so do the fields of the layer. The projections have as many columns as its
    entries suffice for, at most half the channels. The authors draw half the channels for each, from other weights.

    A kernel whose size is not a multiple of the stride is refused, unless its windows are disjoint.
    """

    source = "Li et al. 2019, arXiv:1911.00937, Sec. 4, Algorithm 1; strides: Jacobsen et al. 2018, arXiv:1802.07088"
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
        check_certified(self.name(), net, DownsampledKernel)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        return DownsampledKernel(self.coefficient, self.iterations, groups, convolution_axes(layer, shape))


class DownsampledKernel(CertifiedWeight):
    """Reparametrisation W -> c K: K read as a kernel over blocks of pixels is composed as without stride.

    With a dilation d, every (s / gcd(s, d))-th tap meets the same pixels of the blocks, in turn.

    Raises:
        Refusal: the taps of an axis are neither a multiple of the stride nor fewer.
    """

    def __init__(self, coefficient: float, iterations: int, groups: int, axes: tuple[ConvolutionAxis, ...]) -> None:
        super().__init__(coefficient)
        self.used = tuple(axis.used_taps for axis in axes)
        taps = [used.stop - used.start for used in self.used]
        self.block = tuple(min(n, axis.phases) for n, axis in zip(taps, axes, strict=True))
        for n, block in zip(taps, self.block, strict=True):
            if n % block:
                raise Refusal(f"{n} taps are no multiple of the stride {block}; allowed: a multiple, or aoc")
        self.taps = tuple(n // block for n, block in zip(taps, self.block, strict=True))
        self.composed = ComposedKernel(1.0, iterations, groups, [ConvolutionAxis(n, 1, n) for n in self.taps])

    def bounded(self, weight: Tensor) -> Tensor:
        """Return the composed kernel in float64."""
        raw = weight[(slice(None), slice(None), *self.used)]
        outputs, inputs = raw.shape[:2]
        axes = len(self.taps)
        split = [size for pair in zip(self.taps, self.block, strict=True) for size in pair]
        # (outputs, inputs, taps_1, block_1, ...) -> (outputs, inputs, block_1, ..., taps_1, ...)
        blocks, taps = range(3, 3 + 2 * axes, 2), range(2, 2 + 2 * axes, 2)
        order = (0, 1, *blocks, *taps)
        downsampled = raw.reshape(outputs, inputs, *split).permute(order)
        kernel = self.composed.bounded(downsampled.reshape(outputs, -1, *self.taps)).view(downsampled.shape)
        back = sorted(range(len(order)), key=order.__getitem__)
        return with_unused_taps(kernel.permute(back).reshape(raw.shape), self.used, weight)
