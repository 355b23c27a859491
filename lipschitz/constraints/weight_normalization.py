"""Weight normalization: the weights of every output unit are divided by their norm in the forward pass."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Constraint
from lipschitz.estimation.layers import WeightedLayer, weighted_layers


class WeightNormalization(Constraint):
    """Replace the weights v of every output unit by g v / ‖v‖.

    Salimans & Kingma 2016, eq. 2, train g. Miyato et al. 2018 take g = 1, so that methods are compared under a
    Lipschitz condition (Sec. 4 and Appendix D.1, eq. 25). Then Σ σ² of a layer is its number of output units (eq. 13),
    and σ lies anywhere from 1 to the square root of that number.
    """

    source = "Salimans & Kingma 2016, arXiv:1602.07868, eq. 2; g = 1 as in Miyato et al. 2018, arXiv:1802.05957, eq. 25"
    promise = "heuristic"

    gain: bool = False
    """Train g, from the norm of the initial weights: the network then starts as the function that it is without the
    method, instead of by Salimans & Kingma's data-dependent initialisation."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer; a trained gain is ``parametrizations.weight.<i>.gain``."""
        for _, layer in list(weighted_layers(net)):
            parametrize.register_parametrization(layer, "weight", NormalizedUnits(layer, self.gain))
        return net


class NormalizedUnits(nn.Module):
    """v -> g v / ‖v‖ for the weights v of every output unit; g is a parameter, or one."""

    gain: nn.Parameter | None

    def __init__(self, layer: WeightedLayer, gain: bool) -> None:
        """Set the gain, where there is one, to the norms of the layer's effective weight as it stands."""
        super().__init__()
        # A transposed convolution stores (d_in, d_out / groups, ...): with the groups split off, units lie on two axes.
        transposed = isinstance(layer, nn.ConvTranspose2d)
        self.groups = layer.groups if isinstance(layer, nn.ConvTranspose2d) else 1
        self.reduced = (1, 3, 4) if transposed else tuple(range(2, layer.weight.dim() + 1))
        self.register_parameter("gain", None)
        if gain:
            self.gain = nn.Parameter(self._norms(self._split(layer.weight.detach())))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``; no unit's weights may all be zero."""
        split = self._split(weight)
        norms = self._norms(split)
        return (split / norms if self.gain is None else split * (self.gain / norms)).view_as(weight)

    def _split(self, weight: Tensor) -> Tensor:
        return weight.view(self.groups, -1, *weight.shape[1:])

    def _norms(self, split: Tensor) -> Tensor:
        norms: Tensor = torch.linalg.vector_norm(split, dim=self.reduced, keepdim=True)
        return norms
