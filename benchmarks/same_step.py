"""Whether two implementations make the same step: from equal weights, on the same batches and noise."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

RAW = re.compile(r"\.(parametrizations\.weight\.original|weight_orig|w_bar)$")
"""What a normalised layer calls the weight that is trained: torch's parametrization, its older hook, torchgan."""


class Steps(Protocol):
    """A GAN in training: what both sides of a comparison are; an iteration is ``step``, in ours given the progress."""

    generator: nn.Module
    discriminator: nn.Module

    def discriminator_step(self) -> None:
        """Make one update of the discriminator."""

    def generator_step(self) -> None:
        """Make one update of the generator."""


class Distance(NamedTuple):
    """Of our first updates from another implementation's, in the Euclidean norm."""

    start: float
    """Between the parameters of both networks before."""
    gradient: float
    """Between the gradients of the network that learns, relative to the other's."""
    update: float
    """Between the changes of the parameters of both networks, relative to the other's."""

    def is_rounding(self) -> bool:
        """Say whether rounding alone may have made it; what is not a number is no rounding."""
        return all(one <= allowed for one, allowed in zip(self, ROUNDING, strict=True))

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.0e}" for name, value in self._asdict().items())


ROUNDING = Distance(start=0.0, gradient=1e-3, update=1e-1)
"""What rounding can do to a small network.

A pre-activation next to zero falls on either side of the leaky ReLU's kink. The first update of Adam and RMSProp is the
sign of the gradient, which is arbitrary where that is rounding alone, as for a bias before batch normalisation."""


def distance(ours: Callable[[], Steps], theirs: Callable[[], Steps]) -> Distance:
    """Return the larger of the distances in the first discriminator step and in the first generator step.

    Each is made by trainings of its own, so that neither starts from what the other left.
    """
    both = [_distance(ours(), theirs(), name) for name in ("discriminator", "generator")]
    return Distance(*map(max, zip(*both, strict=True)))


def _distance(ours: Steps, theirs: Steps, name: str) -> Distance:
    sides = (ours, theirs)
    starts = [_parameters(side) for side in sides]
    for side in sides:
        getattr(side, f"{name}_step")()
    gradients = [_flat(one.grad for one in _trained(getattr(side, name))) for side in sides]
    updates = [_parameters(side) - start for side, start in zip(sides, starts, strict=True)]
    return Distance(float(torch.dist(*starts)), _relative(*gradients), _relative(*updates))


def _parameters(side: Steps) -> Tensor:
    return _flat(one for net in (side.discriminator, side.generator) for one in _trained(net))


def _trained(net: nn.Module) -> list[Tensor]:
    """Return weights and biases in an order that does not depend on how they are normalised."""
    named = {RAW.sub(".weight", name).replace(".module.", "."): one for name, one in net.named_parameters()}
    return [named[name] for name in sorted(named) if name.endswith((".weight", ".bias"))]


def _flat(tensors: Iterable[Tensor | None]) -> Tensor:
    """Return a copy of all in float64 on the CPU; where there is no gradient, not a number."""
    missing = torch.tensor(torch.nan)
    return torch.cat([(missing if one is None else one.detach()).flatten().double().cpu() for one in tensors])


def _relative(ours: Tensor, theirs: Tensor) -> float:
    return float(torch.dist(ours, theirs) / theirs.norm())
