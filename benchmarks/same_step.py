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
    both = [distance_after(_side(ours(), name), _side(theirs(), name)) for name in ("discriminator", "generator")]
    return Distance(*map(max, zip(*both, strict=True)))


class Side(NamedTuple):
    """One of two implementations that are compared."""

    step: Callable[[], object]
    updated: nn.Module
    """The network that ``step`` updates."""
    networks: tuple[nn.Module, ...]
    """All networks, the updated one included."""

    def parameters(self) -> Tensor:
        """Return all parameters as one vector."""
        return _flat(one for net in self.networks for one in _trained(net))


def distance_after(ours: Side, theirs: Side, steps: int = 1) -> Distance:
    """Make ``steps`` steps of both sides and return the distance after them. The gradient is that of the last step."""
    sides = (ours, theirs)
    starts = [side.parameters() for side in sides]
    for side in sides:
        for _ in range(steps):
            side.step()
    gradients = [_flat(one.grad for one in _trained(side.updated)) for side in sides]
    updates = [side.parameters() - start for side, start in zip(sides, starts, strict=True)]
    return Distance(float(torch.dist(*starts)), _relative(*gradients), _relative(*updates))


def _side(training: Steps, name: str) -> Side:
    networks = (training.discriminator, training.generator)
    return Side(getattr(training, f"{name}_step"), getattr(training, name), networks)


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
