"""SDP-based Lipschitz layers (SLL): residual layers x - 2 Wᵀ T⁻¹ act(W x + b), with T a diagonal bound of W Wᵀ."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lipschitz.config import Bound
from lipschitz.constraints.aol import absolute_correlations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.constraints.residual_layers import make_residual
from lipschitz.estimation.circular_convolution import polyphase_kernel
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.polyphase import convolution_axes


class SLL(Constraint):
    """Replace every block of a layer and an activation by x - 2 Wᵀ T⁻¹ act(W x + b), T_ii = Σ_j |W Wᵀ|_ij q_j / q_i.

    T - W Wᵀ is diagonally dominant after scaling by q, so T bounds W Wᵀ, and the layer is 1-Lipschitz. Written with
    T^(-1/2) W in place of W, which scales b: x - 2 (T^(-1/2) W)ᵀ act(T^(-1/2) W x + b). With q of ones the rescaling is
    that of `aol` for the adjoint. Here log q is trained, one number for each row or output channel, initially zero; the
    only parameter that the network itself does not have. For a convolution T has the sums over all shifts that the
    stride allows; zero padding keeps the bound. A layer without an activation of its own, such as the last one, is
    T^(-1/2) W.

    Where a block changes the number of channels or the size, what `cpl` does is done. The activation must be
    elementwise with slopes in [0, 1]. The authors' start has Glorot's variance, too, but is normal.
    """

    source = "Araujo et al. 2023, arXiv:2303.03169, Theorem 3"
    promise = "certified"
    scale_invariant = True
    start = "glorot"

    coefficient: Bound = 1.0
    """c, the bound of every layer's Lipschitz constant."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer, and make blocks residual."""
        net = certify(self.name(), net, shape, self._parametrization)
        make_residual(self.name(), net, shape, self.coefficient)
        return net

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, RescaledRows)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        phases = [axis.phases for axis in convolution_axes(layer, shape)]
        return RescaledRows(self.coefficient, groups, phases, layer.weight)


class RescaledRows(CertifiedWeight):
    """W -> c T^(-1/2) W, with T the diagonal matrix of the theorem; a zero row stays zero."""

    def __init__(self, coefficient: float, groups: int, phases: Sequence[int], weight: Tensor) -> None:
        super().__init__(coefficient)
        self.groups, self.phases = groups, tuple(phases)
        self.log_q = nn.Parameter(weight.new_zeros(len(weight)))

    def bounded(self, weight: Tensor) -> Tensor:
        """Return T^(-1/2) W in float64."""
        kernel = weight.double()
        ordinary = polyphase_kernel(kernel, self.phases)
        # Rows become columns: the correlations are those of the adjoint.
        grouped = ordinary.view(self.groups, -1, *ordinary.shape[1:]).transpose(1, 2)
        absolute = kernel.new_zeros(())
        for correlation, twice in absolute_correlations(grouped):
            absolute = absolute + (correlation + correlation.mT if twice else correlation)
        log_q = self.log_q.double().view(self.groups, 1, -1)
        sums = (absolute * (log_q - log_q.mT).exp()).sum(2)
        factors = torch.where(sums > 0, sums, 1.0).rsqrt()
        return kernel * factors.view(-1, *(1,) * (kernel.dim() - 1))
