"""Sandwich layers 2 Aᵀ act(B x + b), which are 1-Lipschitz where A Aᵀ + B Bᵀ = I, in place of act(B x + b)."""

from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.residual_layers import layer_and_hidden
from lipschitz.estimation.circular_convolution import CircularConvolution


class SandwichLayer(nn.Sequential):
    """A block of a layer B and an activation, as x -> 2 Aᵀ act(B x + b), which is c-Lipschitz if A Aᵀ + B Bᵀ / c² = I.

    The activation is elementwise with slopes in [0, 1]. For c = 1 and a vector v let u = B v. Then ‖2 Aᵀ D u‖² =
    4 ‖D u‖² - 4 ‖Bᵀ D u‖² <= ‖v‖² - ‖v - 2 Bᵀ D u‖² for every diagonal D with 0 <= D <= I, since D² <= D. The matrix
    2 Aᵀ is the tensor ``outgoing`` of the layer: ``(d, d)``, or the kernel of a convolution that pads in a circle.
    """

    lipschitz_constant: float
    """c, declared for convolutions alone: the upper bound of runs of Linear layers finds theirs itself."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` to the shape of ``act(B x + b)``."""
        layer, hidden = layer_and_hidden(self, x)
        kernel = layer.outgoing
        assert isinstance(kernel, Tensor)
        if isinstance(layer, nn.Linear):
            return F.linear(hidden, kernel)
        if kernel.shape[2:].numel() == 1:
            image: Tensor = (F.conv1d if kernel.dim() == 3 else F.conv2d)(hidden, kernel, groups=layer.groups)
            return image
        return CircularConvolution((1,) * (kernel.dim() - 2), layer.groups)(hidden, kernel)
