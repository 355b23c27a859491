"""A piecewise-linear network as affine maps and elementwise activations with a kink at zero, in NumPy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Stage(NamedTuple):
    """One layer of m neurons: h = W s + b, z = positive h where h > 0, else negative h; the next state is (s[kept], z).

    ``kept`` is empty in a plain perceptron. Skip connections and sorting read values of earlier stages.
    """

    weight: Floats
    """W ``(m, state)``."""
    bias: Floats
    """b ``(m,)``."""
    negative: Floats
    """Slope of each neuron left of zero, ``(m,)``."""
    positive: Floats
    """Slope of each neuron right of zero, ``(m,)``."""
    kept: NDArray[np.intp]
    """Entries of the state that later stages read, ``(k,)``."""


class RectifiedStages(NamedTuple):
    """x -> W s + b, where the state s is x before the first stage. Every piecewise-linear network is one."""

    inputs: int
    stages: tuple[Stage, ...]
    weight: Floats
    """W ``(outputs, state)``."""
    bias: Floats
    """b ``(outputs,)``."""

    def values(self, points: Floats) -> Floats:
        """Return the outputs ``(n, outputs)`` at ``points`` ``(n, inputs)``."""
        state = points
        for stage in self.stages:
            h = state @ stage.weight.T + stage.bias
            state = np.concatenate([state[:, stage.kept], np.where(h > 0, stage.positive, stage.negative) * h], axis=1)
        return state @ self.weight.T + self.bias

    def jacobians(self, points: Floats) -> Floats:
        """Return the Jacobians ``(n, inputs, outputs)`` at ``points`` ``(n, inputs)``, by forward mode."""
        state = points
        tangents = np.repeat(np.eye(self.inputs)[None], len(points), axis=0)
        for stage in self.stages:
            h, dh = state @ stage.weight.T + stage.bias, tangents @ stage.weight.T
            slopes = np.where(h > 0, stage.positive, stage.negative)
            state = np.concatenate([state[:, stage.kept], slopes * h], axis=1)
            tangents = np.concatenate([tangents[:, :, stage.kept], slopes[:, None] * dh], axis=2)
        return tangents @ self.weight.T


def from_sources(
    inputs: int, stages: list[tuple[Floats, Floats, Floats, Floats]], weight: Floats, bias: Floats
) -> RectifiedStages:
    """Return the function whose stage i reads all sources before it: the input, then the neurons of earlier stages.

    A neuron that nothing reads is left out, and a state keeps only what is read later.

    Args:
        inputs: size of the input.
        stages: weight ``(m, sources before)``, bias, negative and positive slopes ``(m,)``.
        weight: ``(outputs, all sources)``.
        bias: ``(outputs,)``.
    """
    # Whether anything later reads each source, found from the last stage to the first.
    read = np.abs(weight).sum(axis=0) > 0
    later = []
    for rows, *_ in reversed(stages):
        later.append(read)
        before = rows.shape[1]
        read = read[:before] | (np.abs(rows[read[before:]]).sum(axis=0) > 0)
    state, built = np.arange(inputs), []
    for (rows, constants, negative, positive), is_read in zip(stages, reversed(later), strict=True):
        before = rows.shape[1]
        own, kept = np.flatnonzero(is_read[before:]), np.flatnonzero(is_read[state])
        built.append(Stage(rows[own][:, state], constants[own], negative[own], positive[own], kept))
        state = np.concatenate([state[kept], before + own])
    return RectifiedStages(inputs, tuple(built), weight[:, state], bias)
