"""Skew orthogonal convolutions (SOC): the exponential of a skew-symmetric convolution, by its Taylor series."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.constraints.circular_kernel import CircularKernel, as_tall, circular_axes
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.gram_iteration import spectral_norm_bound
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis

GRAM_ITERATIONS = 6
"""Steps of Gram iteration for the bound of L."""


class SOC(Constraint):
    """Replace every weight W by exp(L) = I + L + L²/2 + ..., with L = (W - Wᵀ) / B, which is orthogonal.

    W - Wᵀ is a skew-symmetric convolution: Wᵀ is the adjoint, whose kernel is flipped and transposed. B is a certified
    bound of its norm, so ‖L‖ <= 1; the authors take a bound by power iteration. The series is cut after ``terms``
    terms. What is cut has a norm of at most 1/terms!, and the sum is divided by one plus that.

    W is filled up with zeros to a square one of max(inputs, outputs) channels. Inputs are filled up with channels of
    zeros, and the first outputs are kept, as in the paper. Stride s is an invertible downsampling. Linear layers, and
    the last one, are 1x1 convolutions.

    Here the convolution pads in a circle, where the authors pad with zeros, and the series is summed once for the
    kernel, at every frequency. Both are orthogonal at the border. The kernel is as large as the map, see
    `lipschitz.constraints.circular_kernel`. The authors' code sums 6 terms in training and 13 for evaluation, and takes
    0.7 times L for kernels above 1x1; here both are the same function, and ‖L‖ is about one.
    """

    source = "Singla & Feizi 2021, arXiv:2105.11417, Sec. 3 and Algorithm 1"
    promise = "certified"
    scale_invariant = True
    start = "normal"

    coefficient: Bound = 1.0
    """c, the bound of every layer's Lipschitz constant."""
    terms: Iterations = 12
    """Terms of the Taylor series, the identity included."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._parametrization)

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, SkewExponential)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups, axes = circular_axes(layer, shape)
        return SkewExponential(self.coefficient, groups, axes, self.terms)


class SkewExponential(CircularKernel):
    """W -> c exp((W - Wᵀ) / B), cut to the shape of W; zero becomes the identity."""

    def __init__(self, coefficient: float, groups: int, axes: Sequence[ConvolutionAxis], terms: int) -> None:
        super().__init__(coefficient, groups, axes)
        self.terms = terms

    def orthogonal(self, blocks: Tensor) -> Tensor:
        """Return the series of each block, with one B for all frequencies of a group."""
        # exp(L)ᵀ = exp(Lᵀ), and L of Wᵀ is Lᵀ: of a wide block the rows are found as columns of the transposed one.
        tall, wide = as_tall(blocks)
        channels, columns = tall.shape[-2:]
        square = F.pad(tall, (0, channels - columns))
        skew = square - square.mH
        bounds = spectral_norm_bound(skew, GRAM_ITERATIONS).amax(0)[..., None, None]
        skew = skew / torch.where(bounds > 0, bounds, 1.0)
        # Only the first columns are needed.
        term = torch.eye(channels, columns, dtype=skew.dtype, device=skew.device)
        total = term
        for power in range(1, self.terms):
            term = skew @ term / power
            total = total + term
        found = total.expand(tall.shape) / (1 + 1 / math.factorial(self.terms))
        return found.mH if wide else found
