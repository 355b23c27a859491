"""Layer-wise orthogonal training (LOT): V (VᵀV)^(-1/2) at every frequency of a convolution, by Newton's iteration."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.constraints.circular_kernel import CircularKernel, as_tall, circular_axes
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.gram_iteration import spectral_norm_bound
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis


class LOT(Constraint):
    """Replace every weight V by V (VᵀV)^(-1/2), the nearest orthogonal matrix, at every frequency of a convolution.

    The inverse root is found by Newton's iteration Y <- Y (3 I - Z Y) / 2, Z <- (3 I - Z Y) Z / 2 from Y = VᵀV, Z = I,
    with V divided by a bound of its norm. Here it is written for X = V Z, as X <- X (3 I - XᵀX) / 2, which is the same
    without rounding, and more stable. A singular value in [0, 1] moves towards one and never above, so the bound holds
    after any number of iterations.

    A convolution pads in a circle, so it is orthogonal at the border, too. Stride s is an invertible downsampling. The
    kernel is as large as the map, see `lipschitz.constraints.circular_kernel`. Linear layers, and the last one, are
    orthogonalised in the same way.
    """

    source = "Xu, Li & Li 2022, arXiv:2210.11620, Sec. 4 and Algorithm 1"
    promise = "certified"
    scale_invariant = True

    coefficient: Bound = 1.0
    """c, the bound of every layer's Lipschitz constant."""
    iterations: Iterations = 10
    """Steps of Newton's iteration in each forward pass; 10 raise a singular value of 0.03 times the largest to 0.9."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._parametrization)

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, InverseRoot)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups, axes = circular_axes(layer, shape)
        return InverseRoot(self.coefficient, groups, axes, self.iterations)


class InverseRoot(CircularKernel):
    """V -> c V (VᵀV)^(-1/2) at every frequency, after a number of Newton steps; zero stays zero."""

    def __init__(self, coefficient: float, groups: int, axes: Sequence[ConvolutionAxis], iterations: int) -> None:
        super().__init__(coefficient, groups, axes)
        self.iterations = iterations

    def orthogonal(self, blocks: Tensor) -> Tensor:
        """Return V Z of each block V."""
        tall, wide = as_tall(blocks)
        bounds = spectral_norm_bound(blocks, 4)[..., None, None]
        found = tall / torch.where(bounds > 0, bounds, 1.0)
        for _ in range(self.iterations):
            found = 1.5 * found - 0.5 * found @ (found.mH.resolve_conj() @ found)
        return found.mH if wide else found
