"""A trained split of one Lipschitz budget: the product of all layers' spectral norms is fixed, not each of them."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.normalized_weight import NormalizedWeight, advance_all, find_normalization
from lipschitz.estimation.layers import is_transposed, raw_weight, weighted_layers


class SpectralBudget(Constraint):
    """Give layer l the spectral norm exp(s_l), with trained s_l whose sum is log K: W -> exp(s_l) W / σ(W).

    Spectral normalization bounds each layer by one. Here the product of the spectral norms of the reshaped kernels is
    K, and training splits it. All s_l start equal. σ is by power iteration as in spectral normalization. A weight that
    layers share has one s, and counts once for each layer in the sum.

    With positively homogeneous activations (ReLU, leaky ReLU, sorting) and no skip connections the set of functions is
    that of spectral normalization with the product K: factors move from one layer to the next, and biases are scaled
    with them. So the split changes how the network is trained, not what it can represent. Across skip connections the
    product of all norms is no bound.
    """

    source = "this package; σ as in Miyato et al. 2018, arXiv:1802.05957, Algorithm 1"
    promise = "heuristic"
    scale_invariant = True
    updates_buffers_only = True

    budget: Bound = 1.0
    """K, the product of the spectral norms of all layers."""
    power_iterations: Iterations = 1
    """Steps of power iteration before each discriminator update."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer; the trained split is a parameter ``split`` that all layers share."""
        layers = [layer for _, layer in weighted_layers(net)]
        raws = [raw_weight(layer) for layer in layers]
        places = {key: place for place, key in enumerate(dict.fromkeys(map(id, raws)))}
        used = [places[id(raw)] for raw in raws]
        split = Split(used, self.budget, raws[0].detach()) if raws else None
        for layer, place in zip(layers, used, strict=True):
            assert split is not None
            normalization = NormalizedWeight(layer.weight, is_transposed(layer), 1.0)
            parametrize.register_parametrization(layer, "weight", normalization)
            parametrize.register_parametrization(layer, "weight", BudgetedWeight(split, place))
        return net

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Advance the power iteration of all layers."""
        found = [one for one in (find_normalization(layer) for _, layer in weighted_layers(net)) if one is not None]
        advance_all([one for module, weight in found for one in module.iterated(weight)], self.power_iterations)


class Split(nn.Module):
    """The logarithms of the spectral norms of several weights; their sum over all layers is log K."""

    def __init__(self, used: list[int], budget: float, like: Tensor) -> None:
        """Take the place of each layer's weight among the different weights, and K."""
        super().__init__()
        self.logarithms = nn.Parameter(like.new_zeros(max(used) + 1))
        counts = torch.bincount(torch.tensor(used, device="cpu")).tolist()
        # Not a buffer: the same in every process.
        self._shares = [count / len(used) for count in counts]
        self._equal = math.log(budget) / len(used)

    def norm(self, place: int) -> Tensor:
        """Return the spectral norm of the weight at ``place``, a scalar."""
        mean = sum(share * one for share, one in zip(self._shares, self.logarithms.unbind(), strict=True))
        return torch.exp(self.logarithms[place] - mean + self._equal)


class BudgetedWeight(nn.Module):
    """Reparametrisation W̄ -> exp(s) W̄ of a weight of spectral norm one."""

    def __init__(self, split: Split, place: int) -> None:
        super().__init__()
        self.split, self.place = split, place

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with its part of the budget."""
        return self.split.norm(self.place) * weight
