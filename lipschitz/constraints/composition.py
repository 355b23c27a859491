"""How bounded layers make a bounded network: sequences, residual sums, pooling, projection discriminators."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lipschitz.constraints.residual_layers import ConvexPotential
from lipschitz.constraints.sandwich_layers import SandwichLayer
from lipschitz.models.conditional import ProjectionDiscriminator
from lipschitz.models.residual import ResidualBlock, SumPool


class HalvedResidual(ResidualBlock):
    """Residual block x -> (second(first(x)) + shortcut(x)) / 2: the mean of two maps is as Lipschitz as they are."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map ``x`` ``(n, c, h, w)`` to ``(n, c', h', w')``."""
        return super().forward(x, labels) / 2


class UnitSumPool(SumPool):
    """Global sum pooling divided by √(h w): a linear map of norm one. The sum itself has the norm √(h w)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c)``."""
        return super().forward(x) / math.sqrt(x.shape[2] * x.shape[3])


class JointProjection(ProjectionDiscriminator):
    """Projection discriminator whose class embedding and last layer are bounded as one.

    For a class y it is ⟨w + v_y, φ(x)⟩ + b. The weight of ``projection`` is reparametrised by `SumOfRows`, then by a
    method that bounds each of its rows. The last layer's weight w acts through that sum alone.
    """

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map ``x`` ``(n, ...)`` and int64 labels ``(n,)`` to ``(n, 1)``."""
        output: Tensor = self.projection(self.features(x)).gather(1, labels[:, None])
        return output if self.output.bias is None else output + self.output.bias


class SumOfRows(nn.Module):
    """Reparametrisation V -> V + 1 wᵀ, with w the weight of the last layer ``(1, d)`` and V ``(classes, d)``."""

    def __init__(self, output: nn.Linear) -> None:
        super().__init__()
        # Not a child: its parameters belong to the discriminator.
        self._output = (output,)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rows w + v_y."""
        return weight + self._output[0].weight


_SEQUENCES = (nn.Sequential.forward, ConvexPotential.forward, SandwichLayer.forward, HalvedResidual.forward)

SUBSTITUTES: dict[type[nn.Module], type[nn.Module]] = {
    ResidualBlock: HalvedResidual,
    SumPool: UnitSumPool,
    ProjectionDiscriminator: JointProjection,
}
"""By class of a module that is not 1-Lipschitz where its parts are: one with the same parts that is."""


def make_composable(net: nn.Module) -> None:
    """Turn every module of ``net`` that has a substitute into it, in place; names and parameters stay."""
    for module in net.modules():
        if type(module) in SUBSTITUTES:
            module.__class__ = SUBSTITUTES[type(module)]


def composed(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield ``module`` and, where it is 1-Lipschitz if its parts are, these, recursively, in order of application.

    A module that is used repeatedly is yielded each time.
    """
    yield name, module
    for key, part in _parts(module) or ():
        yield from composed(part, f"{name}.{key}" if name else key)


def is_composition(module: nn.Module) -> bool:
    """Say whether ``module`` is 1-Lipschitz if its parts are."""
    return _parts(module) is not None


def _parts(module: nn.Module) -> list[tuple[str, nn.Module]] | None:
    """Return the parts by name, or None for a module that is judged as a whole."""
    forward = type(module).forward
    if forward is JointProjection.forward:
        names = ["features", "projection"]
    elif forward is UnitSumPool.forward:
        names = []
    elif forward in _SEQUENCES:
        names = list(module._modules)
    else:
        return None
    return [(name, module.get_submodule(name)) for name in names]


def rows_as_groups(layer: nn.Linear) -> nn.Conv1d:
    """Return the convolution whose groups are the rows of ``layer``: its norm is the largest norm of a row.

    Its weight ``(rows, d, 1)`` is a copy.
    """
    rows, columns = layer.weight.shape
    with torch.device(layer.weight.device):
        groups = nn.Conv1d(rows * columns, rows, 1, groups=rows, bias=False, dtype=layer.weight.dtype)
    groups.weight = nn.Parameter(layer.weight.detach()[:, :, None].clone())
    return groups
