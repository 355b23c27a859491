"""Check that two implementations make the same first updates, from equal weights on the same batches and noise."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

RAW = re.compile(r"\.(parametrizations\.weight\.original|weight_orig|w_bar)$")
"""Name of the trained weight in a normalised layer: of torch's parametrization, its older hook, and torchgan."""


class Steps(Protocol):
    """A GAN in training, ours or another implementation's."""

    generator: nn.Module
    discriminator: nn.Module

    def discriminator_step(self) -> None:
        """Make one update of the discriminator."""

    def generator_step(self) -> None:
        """Make one update of the generator."""


class Distance(NamedTuple):
    """Euclidean distance between our first updates and another implementation's."""

    start: float
    """Between the initial parameters of both networks."""
    gradient: float
    """Between the gradients of the updated network, relative to the other implementation's gradient."""
    update: float
    """Between the changes of the parameters of both networks, relative to the other implementation's change."""

    def is_rounding(self) -> bool:
        """Return whether rounding can explain the distance. NaN returns False."""
        return all(one <= allowed for one, allowed in zip(self, ROUNDING, strict=True))

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.0e}" for name, value in self._asdict().items())


ROUNDING = Distance(start=0.0, gradient=1e-3, update=1e-1)
"""Largest distances that rounding causes in a small network.

Rounding can move a pre-activation near zero across the kink of the leaky ReLU. The first update of Adam and RMSProp is
the sign of the gradient. That sign is arbitrary where the exact gradient is zero, as for a bias before batch
normalisation."""


def first_step_distance(ours: Callable[[], Steps], theirs: Callable[[], Steps]) -> Distance:
    """Return the larger of the distances after the first discriminator step and after the first generator step.

    Each step is made on new trainings, so that both start from the initial weights.
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
    """Return the trained weights and biases in the same order for every implementation."""
    named = {RAW.sub(".weight", name).replace(".module.", "."): one for name, one in net.named_parameters()}
    return [named[name] for name in sorted(named) if name.endswith((".weight", ".bias"))]


def _flat(tensors: Iterable[Tensor | None]) -> Tensor:
    """Return a float64 copy of all tensors on the CPU. A missing gradient becomes NaN."""
    missing = torch.tensor(torch.nan)
    return torch.cat([(missing if one is None else one.detach()).flatten().double().cpu() for one in tensors])


def _relative(ours: Tensor, theirs: Tensor) -> float:
    return float(torch.dist(ours, theirs) / theirs.norm())
