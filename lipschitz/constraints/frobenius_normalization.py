"""Frobenius normalization: the weight of every layer is divided by its Frobenius norm in the forward pass."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.power_iteration import infinite_where_zero
from lipschitz.estimation.layers import weighted_layers


class FrobeniusNormalization(Constraint):
    """Divide every weight by its Frobenius norm in the forward pass: W -> c W / ‖W‖_F.

    The squared singular values of the effective weight sum to c², so its spectral norm is at most c, and equals c only
    at rank one. Miyato et al. 2018 (Sec. 3 and Appendix D.1) compare this with spectral normalization: a layer that is
    to preserve the norm of its input must then reduce its rank, and so use fewer features.
    """

    source = "Miyato et al. 2018, arXiv:1802.05957, eq. 26"
    promise = "heuristic"
    scale_invariant = True

    c: Bound = 1.0
    """Frobenius norm of every effective weight."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        for _, layer in list(weighted_layers(net)):
            parametrize.register_parametrization(layer, "weight", UnitFrobenius(self.c))
        return net


class UnitFrobenius(nn.Module):
    """Reparametrisation W -> W̄ = c W / ‖W‖_F.

    With G the gradient with respect to W̄, the gradient with respect to W is (c G - <G, W̄> W̄ / c) / ‖W‖_F
    (arXiv:1802.05957, eq. 36, for c = 1). Of a zero weight both W̄ and the gradient are zero.
    """

    def __init__(self, c: float) -> None:
        super().__init__()
        self.c = c

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``."""
        normalized: Tensor = weight * (self.c / infinite_where_zero(torch.linalg.vector_norm(weight)))
        return normalized

    def extra_repr(self) -> str:
        """Show c."""
        return f"c={self.c}"
