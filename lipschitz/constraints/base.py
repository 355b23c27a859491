"""What a constraint is: a frozen record with four hooks into a discriminator's training, each a no-op by default."""

from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.records import Record


class Batch(NamedTuple):
    """What a penalty may look at, all on the discriminator's device."""

    real: Tensor
    """``(n, ...)`` samples of the data set."""
    fake: Tensor | None
    """``(n, ...)`` samples of the generator, without its graph; None in classification."""
    labels: Tensor | None = None
    """``(n,)`` int64 class labels, where there are any."""


class Constraint(Record):
    """A way to bound a network's Lipschitz constant.

    A subclass is one file in this package, named after the method; it overrides the hooks that the method needs. State
    (singular vectors and the like) lives in buffers that `wrap` registers, never in the record, which is frozen.
    """

    source: ClassVar[str]
    """Paper, arXiv number, equation or algorithm."""
    promise: ClassVar[Literal["certified", "heuristic", "none"]]
    """``certified``: every wrapped layer is bounded as an operator; ``heuristic``: pushed towards a bound; ``none``."""
    double_backward: ClassVar[bool] = False
    """Whether the penalty differentiates a gradient, which costs a second backward pass."""

    def wrap(self, net: nn.Module) -> nn.Module:
        """Reparametrise ``net`` or register state on it, once, before the optimiser is built; return what to train."""
        return net

    def update(self, net: nn.Module) -> None:
        """Advance the method's state, once before each discriminator update; called without gradients."""

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return the scalar to add to the discriminator's loss; ``rng`` is the method's own stream, on the device."""
        return batch.real.new_zeros(())

    def project(self, net: nn.Module) -> None:
        """Put the weights back into the method's set, after each optimiser step; called without gradients."""
