"""Sandwich layers: 2 Aᵀ act(B x + b) with A Aᵀ + B Bᵀ = I, by the Cayley transform; they are 1-Lipschitz."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint, Refusal
from lipschitz.constraints.cayley import Cayley, cayley_transform
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified, rounded
from lipschitz.constraints.circular_kernel import CircularKernel, centred, circular_axes
from lipschitz.constraints.residual_layers import activated_blocks, parts_of
from lipschitz.constraints.sandwich_layers import SandwichLayer
from lipschitz.estimation.layers import WeightedLayer, raw_weight, reparametrizations
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis


class Sandwich(Constraint):
    """Replace every block of a layer and an activation by x -> 2 Aᵀ act(B x + b), with A Aᵀ + B Bᵀ = I.

    The columns of [Aᵀ; Bᵀ] are orthonormal: they are the Cayley transform of [X; -Wᵀ], see `cayley`. W is the weight of
    the network. X is square, initially zero, and the only parameter that the network itself does not have. A layer
    without an activation of its own, such as the last one, is B. The activation must be elementwise with slopes in
    [0, 1].

    The paper's layer is √2 Aᵀ Ψ act(√2 Ψ⁻¹ B x + b) with a trained positive diagonal Ψ. For an activation that commutes
    with positive scales (ReLU, leaky ReLU) Ψ only scales b, so it is left out here, and √2 is moved out.

    A convolution is transformed at each frequency and pads in a circle, as in `cayley`; both B and A have kernels as
    large as the map. X is a 1x1 kernel, where the authors train one as large as that of W.
    """

    source = "Wang & Manchester 2023, arXiv:2301.11526, Sec. 3"
    promise = "certified"
    uncapturable = Cayley.uncapturable

    coefficient: Bound = 1.0
    """c, the bound of every layer's Lipschitz constant."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer, and make blocks sandwich layers."""
        net = certify(self.name(), net, shape, self._parametrization)
        for name, layer_name, block in activated_blocks(self.name(), net, "sandwich layer"):
            layer = parts_of(block)[0]
            if isinstance(layer, nn.ConvTranspose2d):
                raise Refusal(
                    f"{self.name()} makes '{name}' a sandwich layer, but '{layer_name}' is a ConvTranspose2d; "
                    "allowed: Linear, Conv1d, Conv2d"
                )
            assert isinstance(layer, WeightedLayer)
            if not parametrize.is_parametrized(layer, "outgoing"):
                # A parametrisation needs a tensor. This one has no entries.
                layer.register_buffer("outgoing", layer.weight.new_empty(0))
                parametrize.register_parametrization(layer, "outgoing", Outgoing(layer), unsafe=True)
            block.__class__ = SandwichLayer
            if not isinstance(layer, nn.Linear):
                # Upper bounds of runs of Linear layers find it.
                assert isinstance(block, SandwichLayer)
                block.lipschitz_constant = self.coefficient
        return net

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, HalfOfPair)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        return HalfOfPair(self.coefficient, *circular_axes(layer, shape), layer.weight)


class HalfOfPair(CircularKernel):
    """W -> c B, with B half of the pair (A, B) at every frequency; zero stays zero."""

    def __init__(self, coefficient: float, groups: int, axes: Sequence[ConvolutionAxis], weight: Tensor) -> None:
        super().__init__(coefficient, groups, axes)
        rows = len(weight) // groups
        self.x = nn.Parameter(weight.new_zeros(groups, rows, rows))

    def orthogonal(self, blocks: Tensor) -> Tensor:
        """Return B of each block."""
        return self._pair(blocks)[..., blocks.shape[-2] :, :].mH

    def outgoing(self, weight: Tensor) -> Tensor:
        """Return 2 Aᵀ, ``(d, d)`` or ``(d, d / groups, n_1, ...)`` with the output's size n or ones."""
        blocks = self.blocks(weight)
        half = self._pair(blocks)[..., : blocks.shape[-2], :]
        ones = (1,) * len(self.axes)
        kernel = centred(self.kernel(half)) if self.circular else half.reshape(len(weight), -1, *ones)
        return rounded(kernel, 2.0, weight.dtype)

    def _pair(self, blocks: Tensor) -> Tensor:
        """Return [Aᵀ; Bᵀ] for each block."""
        x = self.x.to(blocks.dtype).expand(*blocks.shape[:-1], -1)
        return cayley_transform(torch.cat([x, -blocks.mH], dim=-2))


class Outgoing(nn.Module):
    """Reparametrisation of an empty tensor as 2 Aᵀ, for the A that belongs to the layer's B."""

    def __init__(self, layer: WeightedLayer) -> None:
        super().__init__()
        # Not a child: this is a part of the layer.
        self._layer = (layer,)

    def forward(self, _: Tensor) -> Tensor:
        """Return 2 Aᵀ in the dtype of the weight."""
        weight = raw_weight(self._layer[0])
        for step in reparametrizations(self._layer[0]):
            if isinstance(step, HalfOfPair):
                return step.outgoing(weight)
            weight = step(weight)
        raise AssertionError("the layer is no sandwich layer's")
