"""torch's own spectral normalization as a constraint: what ours is compared with, and no method of the catalogue."""

from typing import ClassVar, Literal

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from lipschitz.constraints.base import Constraint
from lipschitz.estimation.layers import weighted_layers


class TorchSpectralNorm(Constraint):
    """`torch.nn.utils.parametrizations.spectral_norm` on every layer, one step of power iteration at each access."""

    source: ClassVar[str] = "Miyato et al. 2018, arXiv:1802.05957, as torch ships it"
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "heuristic"

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Register torch's parametrization on each layer."""
        for _, layer in list(weighted_layers(net)):
            spectral_norm(layer)
        return net
