"""Upper bounds of the slope of a network over a polygon that kinks of its last one or two stages still cut."""

from typing import NamedTuple

import numpy as np

from lipschitz.estimation.exact.line_cuts import norms
from lipschitz.estimation.exact.polygons import Booleans, Polygons
from lipschitz.estimation.exact.rectified_stages import Floats, Stage


class Neurons(NamedTuple):
    """The neurons of a stage on n polygons, before their activation."""

    stage: Stage
    lines: Floats
    """Their linear functions of (x, y, w), ``(n, 3, m)``."""
    cut: Booleans
    """Whether a neuron has both signs on a polygon, ``(n, m)``."""
    signs: Booleans
    """Whether the others are positive, ``(n, m)``."""

    def take(self, chosen: Booleans) -> "Neurons":
        """Return the neurons on the polygons where ``chosen`` ``(n,)`` is true."""
        return Neurons(self.stage, self.lines[chosen], self.cut[chosen], self.signs[chosen])

    def slopes(self) -> Floats:
        """Return the slope of each activation; the mean of both where the neuron has both signs."""
        return _mean_slopes(self.stage, self.cut, self.signs)

    def spread(self) -> Floats:
        """Return how far the slope of each activation may be from `slopes`."""
        return _spread(self.stage, self.cut)


def one_stage_bound(neurons: Neurons, passed: Floats, weight: Floats) -> Floats:
    """Return upper bounds ``(n,)`` of the slope on each polygon, all of whose kinks are those of one stage.

    Each kink inside adds at most half of what it changes the slope by.

    Args:
        neurons: of the last stage.
        passed: the part of the Jacobian that does not pass through them, ``(n, 2, outputs)``.
        weight: of the outputs on the neurons, ``(outputs, m)``.
    """
    gradients = neurons.lines[:, :2]
    jacobians = passed + (gradients * neurons.slopes()[:, None]) @ weight.T
    steps = neurons.spread() * norms(gradients) * np.sqrt((weight**2).sum(axis=0))
    bounds: Floats = spectral_norms(jacobians) + steps.sum(axis=1)
    return bounds


def two_stage_bound(polygons: Polygons, first: Neurons, second: Stage, weight: Floats) -> Floats:
    """Return upper bounds ``(n,)`` of the slope on each polygon, all of whose kinks are those of the last two stages.

    The activations of the first stage are φ(h) = c h + e with |e| <= r |h|, where c is the mean of both slopes of a
    neuron with both signs, and r half of their difference. So the second stage is its value at c h, within Σ |W| r |h|,
    and |h| is largest at a vertex. That fixes the signs of most of its neurons.

    Args:
        polygons: n of them.
        first: neurons of the last stage but one.
        second: the last stage, which reads the first alone.
        weight: of the outputs on the second stage, ``(outputs, m)``.
    """
    corners = polygons.padded()
    n = len(corners)
    middle = first.lines * first.slopes()[:, None]
    lines = (middle.reshape(3 * n, -1) @ second.weight.T).reshape(n, 3, -1)
    lines[:, 2] += second.bias
    errors = (np.abs(corners @ first.lines).max(axis=1) * first.spread()) @ np.abs(second.weight).T
    values = corners @ lines
    positive = values.min(axis=1) >= errors
    undecided = ~(positive | (values.max(axis=1) <= -errors))
    gradients = lines[:, :2]
    slopes, spread = _mean_slopes(second, undecided, positive), _spread(second, undecided)
    sizes = np.sqrt((weight**2).sum(axis=0))
    # Kinks of the second stage, kinks of the first, and those of both.
    jacobians = (gradients * slopes[:, None]) @ weight.T
    of_second = (spread * sizes * norms(gradients)).sum(axis=1)
    rows = (slopes[:, None] * weight).reshape(n * len(weight), -1)
    through = norms((rows @ second.weight).reshape(n, len(weight), -1))
    of_both = (spread * sizes) @ np.abs(second.weight)
    of_first = (first.spread() * norms(first.lines[:, :2]) * (through + of_both)).sum(axis=1)
    bounds: Floats = spectral_norms(jacobians) + of_second + of_first
    return bounds


def spectral_norms(jacobians: Floats) -> Floats:
    """Return the spectral norm of each of the matrices ``(n, inputs, outputs)``, of one or two inputs."""
    squares = (jacobians**2).sum(axis=2)
    if 1 in jacobians.shape[1:]:
        lengths: Floats = np.sqrt(squares.sum(axis=1))
        return lengths
    # The larger eigenvalue of the 2 x 2 Gram matrix.
    a, b = squares.T
    c = (jacobians[:, 0] * jacobians[:, 1]).sum(axis=1)
    largest: Floats = np.sqrt((a + b + np.hypot(a - b, 2 * c)) / 2)
    return largest


def _mean_slopes(stage: Stage, undecided: Booleans, positive: Booleans) -> Floats:
    known = np.where(positive, stage.positive, stage.negative)
    slopes: Floats = np.where(undecided, (stage.positive + stage.negative) / 2, known)
    return slopes


def _spread(stage: Stage, undecided: Booleans) -> Floats:
    spread: Floats = np.where(undecided, np.abs(stage.positive - stage.negative) / 2, 0.0)
    return spread
