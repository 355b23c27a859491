"""Weight normalization: the weights of every output unit are divided by their L2 norm in the forward pass."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.power_iteration import infinite_where_zero
from lipschitz.estimation.layers import WeightedLayer, raw_weight, weighted_layers


class WeightNormalization(Constraint):
    """Divide the weights of every output unit by their L2 norm in the forward pass: v -> g v / ‖v‖.

    Salimans & Kingma 2016 (eq. 2) train g. Miyato et al. 2018 set g = 1, to compare methods under a Lipschitz condition
    (Sec. 4 and Appendix D.1, eq. 25). With g = 1 the squared singular values of a layer sum to its number m of output
    units (eq. 13), so its spectral norm lies between 1 and √m.
    """

    source = "Salimans & Kingma 2016, arXiv:1602.07868, eq. 2; g = 1 as in Miyato et al. 2018, arXiv:1802.05957, eq. 25"
    promise = "heuristic"
    scale_invariant = True

    gain: bool = False
    """Whether to train g. It starts as the norm of the initial weights, so the initial network is the same function as
    without the method. Salimans & Kingma use a data-dependent initialisation instead. Layers that share v share g."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer; a trained g is the parameter ``parametrizations.weight.<i>.gain``."""
        shared: dict[tuple[object, ...], NormalizedUnits] = {}
        for _, layer in list(weighted_layers(net)):
            units = NormalizedUnits(layer, self.gain)
            units = shared.setdefault((id(raw_weight(layer)), units.groups, units.reduced), units)
            parametrize.register_parametrization(layer, "weight", units)
        return net


class NormalizedUnits(nn.Module):
    """Reparametrisation v -> g v / ‖v‖ of the weights v of every output unit; g is a trained parameter or 1.

    An output unit whose weights are all zero stays zero, and the gradients of its v and g are zero.
    """

    gain: nn.Parameter | None

    def __init__(self, layer: WeightedLayer, gain: bool) -> None:
        """Initialise g, if trained, with the norms of the layer's current effective weight."""
        super().__init__()
        # A transposed convolution stores (d_in, d_out / groups, ...). With the groups as an axis of their own, its
        # output units are indexed by two axes, 0 and 2.
        transposed = isinstance(layer, nn.ConvTranspose2d)
        self.groups = layer.groups if isinstance(layer, nn.ConvTranspose2d) else 1
        self.reduced = (1, 3, 4) if transposed else tuple(range(2, layer.weight.dim() + 1))
        self.register_parameter("gain", None)
        if gain:
            self.gain = nn.Parameter(self._norms(self._split(layer.weight.detach())))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``."""
        split = self._split(weight)
        norms = infinite_where_zero(self._norms(split))
        return (split / norms if self.gain is None else split * (self.gain / norms)).view_as(weight)

    def _split(self, weight: Tensor) -> Tensor:
        return weight.view(self.groups, -1, *weight.shape[1:])

    def _norms(self, split: Tensor) -> Tensor:
        norms: Tensor = torch.linalg.vector_norm(split, dim=self.reduced, keepdim=True)
        return norms
