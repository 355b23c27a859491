"""What a constraint is: a frozen record with hooks into a discriminator's training, each a no-op by default."""

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.config import Config
from lipschitz.errors import InputError


class Batch(NamedTuple):
    """What a penalty may look at, all on the discriminator's device."""

    real: Tensor
    """``(n, ...)`` samples of the data set."""
    fake: Tensor | None
    """``(n, ...)`` samples of the generator, without its graph; None in classification."""
    labels: Tensor | None = None
    """``(n,)`` int64 class labels, where there are any."""


class Refusal(ValueError):
    """What a method cannot bound: one line that names the method, the layer and the reason."""


class Constraint(Config):
    """A way to bound a network's Lipschitz constant.

    A subclass is one file in this package, named after the method; it overrides the hooks that the method needs. State
    (singular vectors and the like) lives in buffers that `wrap` registers, never in the record, which is frozen.
    """

    source: ClassVar[str]
    """Paper, arXiv number, equation or algorithm."""
    promise: ClassVar[Literal["certified", "heuristic", "none"]]
    """``certified``: every wrapped layer is bounded as an operator; ``heuristic``: pushed towards a bound; ``none``."""
    double_backward: ClassVar[bool] = False
    """Whether the penalty or the forward pass differentiates a gradient, which costs a second backward pass.

    Of a method without a penalty it is the forward pass: that cannot be had in bfloat16. A penalty that does not is
    never computed in TF32.
    """

    uncapturable: ClassVar[str] = ""
    """Why a CUDA graph cannot hold what the method does in a step; empty where nothing is known to forbid it."""

    @classmethod
    def check_class(cls) -> None:
        """Check that a class from outside the package declares its promise.

        Raises:
            InputError: it does not, or promises something unknown.
        """
        promises = ("certified", "heuristic", "none")
        if getattr(cls, "promise", None) not in promises:
            raise InputError(f"{cls.__name__} does not say its promise; allowed: {', '.join(promises)}")

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise ``net`` or register state on it, once, before the optimiser is built; return what to train.

        ``shape`` is that of one sample. A sweep is checked by wrapping networks on the meta device, so no hook may
        branch on a tensor's values here. Parameters keep their names.

        Raises:
            Refusal: a layer that this method promises to bound and cannot.
        """
        return net

    def check(self, net: nn.Module) -> None:
        """Refuse a network that this method cannot work on, once every constraint of the run has wrapped it.

        Raises:
            Refusal: the network cannot be had together with this method.
        """

    def update(self, net: nn.Module) -> None:
        """Advance the method's state, once before each discriminator update; called without gradients."""

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return the scalar to add to the discriminator's loss; ``rng`` is the method's own stream, on the device."""
        return batch.real.new_zeros(())

    def project(self, net: nn.Module) -> None:
        """Put the weights back into the method's set, after each optimiser step; called without gradients."""


def uncapturable_reason(constraints: Sequence[Constraint]) -> str | None:
    """Return why no CUDA graph can hold a step under ``constraints``, or None where none says so."""
    reasons = [f"{one.name()}: {one.uncapturable}" for one in constraints if one.uncapturable]
    return "; ".join(reasons) or None


def constrain(net: nn.Module, constraints: Sequence[Constraint], shape: tuple[int, ...]) -> nn.Module:
    """Wrap ``net``, which takes samples of ``shape``, by each constraint in turn; return what to train.

    Raises:
        Refusal: one of them cannot bound this network, or cannot be combined with the others.
    """
    stateful = [type(one) for one in constraints if type(one).wrap is not Constraint.wrap]
    for kind in stateful:
        if stateful.count(kind) > 1:
            raise Refusal(f"{kind.name()} stands twice, and both would begin with the same weights; allowed: once")
    for constraint in constraints:
        net = constraint.wrap(net, shape)
    for constraint in constraints:
        constraint.check(net)
    return net
