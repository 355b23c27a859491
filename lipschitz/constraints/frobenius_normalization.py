"""Frobenius normalization: every weight is divided by its Frobenius norm in the forward pass."""

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Constraint
from lipschitz.estimation.layers import weighted_layers


class FrobeniusNormalization(Constraint):
    """Replace every weight by c W / ‖W‖_F, whose squared singular values sum to c².

    Miyato et al. 2018 compare it with spectral normalization (Sec. 3 and Appendix D.1): σ reaches c only at rank one,
    so a layer that must keep its input's norm gives up features for it.
    """

    source = "Miyato et al. 2018, arXiv:1802.05957, eq. 26"
    promise = "heuristic"

    c: PositiveFloat = 1.0
    """Frobenius norm of every effective weight."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        for _, layer in list(weighted_layers(net)):
            parametrize.register_parametrization(layer, "weight", UnitFrobenius(self.c))
        return net


class UnitFrobenius(nn.Module):
    """W -> c W / ‖W‖_F; autograd's gradient is (c G - <G, W̄> W̄ / c) / ‖W‖_F (for c = 1, arXiv:1802.05957, eq. 36)."""

    def __init__(self, c: float) -> None:
        super().__init__()
        self.c = c

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``, which must not be zero."""
        normalized: Tensor = weight * (self.c / torch.linalg.vector_norm(weight))
        return normalized

    def extra_repr(self) -> str:
        """Say the norm."""
        return f"c={self.c}"
