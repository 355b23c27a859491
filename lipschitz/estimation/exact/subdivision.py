"""Search the linear regions of a piecewise-linear function of the plane for its largest slope.

The plane is cut layer by layer into convex polygons, on each of which the network is one affine map (Humayun et al.
2023, SplineCam, arXiv:2302.12828). Polygons that cannot hold a larger slope than one already found are left out before
the last layer cuts them.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from lipschitz.estimation.exact.line_cuts import CHUNK, sides, subdivide
from lipschitz.estimation.exact.polygons import Booleans, Polygons, line, plane
from lipschitz.estimation.exact.rectified_stages import Floats, RectifiedStages, Stage

CONFIRMED_TOGETHER = 16
"""Slopes that are confirmed in one batch, steepest first."""
VANISHED = 1e-14
"""A neuron is zero on a polygon if the norm of its affine map is at most this, relative to the terms it is a sum of."""


class Cells(NamedTuple):
    """Polygons on each of which the state of a network is one linear map of (x, y, w)."""

    polygons: Polygons
    maps: Floats
    """``(n, 3, state)``."""


class Search:
    """Depth-first search through the linear regions of ``function``, which has one or two inputs.

    Args:
        function: the network.
        confirm: given points ``(n, inputs)`` and the slopes ``(n,)`` found there, returns which of the slopes are real.
            Rounding makes slivers between lines that should meet in a point, and no input has their slopes.
        scale: unit of length in which the plane is cut.
        max_cells: largest number of polygons of all layers together.
        prune: whether to leave out polygons that cannot hold a larger slope than the best one so far.
    """

    def __init__(
        self,
        function: RectifiedStages,
        confirm: Callable[[Floats, Floats], Booleans],
        *,
        scale: float = 1.0,
        max_cells: int,
        prune: bool = True,
    ) -> None:
        self._function, self._confirm, self._scale = function, confirm, scale
        self._left, self._prune = max_cells, prune
        self.best = 0.0
        """The largest confirmed slope."""
        self.cells = 0
        """Number of polygons of the last layer that were examined, or left out as a whole."""

    def run(self) -> None:
        """Cut the whole plane; ``best`` is then the largest slope.

        Raises:
            TooManyPolygons: there are more than ``max_cells``.
        """
        inputs = self._function.inputs
        polygons = plane() if inputs == 2 else line()
        unit = np.zeros((1, 3, inputs))
        unit[0, range(inputs), range(inputs)] = self._scale
        self._search(Cells(polygons, np.repeat(unit, len(polygons.sizes), axis=0)), 0)

    def _search(self, cells: Cells, depth: int) -> None:
        stages = self._function.stages
        if depth == len(stages):
            self.cells += len(cells.maps)
            self._examine_polygons(cells.polygons, cells.maps[:, :2] @ self._function.weight.T)
        elif depth == len(stages) - 1:
            self._cut_last(cells, stages[depth])
        else:
            for chunk in self._cut(cells, stages[depth]):
                self._search(chunk, depth + 1)

    def _cut(self, cells: Cells, stage: Stage) -> Iterator[Cells]:
        """Yield the parts of ``cells`` between the kinks of ``stage``, `CHUNK` at a time."""
        lines = _preactivations(cells, stage)
        polygons, parents, signs = subdivide(cells.polygons, lines, *sides(cells.polygons, lines), self._left)
        self._left -= len(parents)
        for start in range(0, len(parents), CHUNK):
            chunk = slice(start, start + CHUNK)
            own = lines[parents[chunk]] * _slopes(stage, signs[chunk])[:, None]
            maps = np.concatenate([cells.maps[parents[chunk]][:, :, stage.kept], own], axis=2)
            yield Cells(polygons.between(start, start + CHUNK), maps)

    def _cut_last(self, cells: Cells, stage: Stage) -> None:
        """Cut by the last stage where the slope may be larger than the best; compute slopes, and no state."""
        lines = _preactivations(cells, stage)
        cut, signs = sides(cells.polygons, lines)
        through, own = np.split(self._function.weight, [len(stage.kept)], axis=1)
        passed = cells.maps[:, :2, stage.kept] @ through.T
        if self._prune:
            hopeful = self._bounds(lines, cut, signs, stage, passed, own) > self.best
            self.cells += int((~hopeful).sum())
            if not hopeful.any():
                return
            lines, cut, signs, passed = lines[hopeful], cut[hopeful], signs[hopeful], passed[hopeful]
            cells = Cells(cells.polygons.take(hopeful), cells.maps[hopeful])
        polygons, parents, signs = subdivide(cells.polygons, lines, cut, signs, self._left)
        self._left -= len(parents)
        self.cells += len(parents)
        jacobians = (lines[parents, :2] * _slopes(stage, signs)[:, None]) @ own.T
        self._examine_polygons(polygons, passed[parents] + jacobians)

    def _bounds(
        self, lines: Floats, cut: Booleans, signs: Booleans, stage: Stage, passed: Floats, own: Floats
    ) -> Floats:
        """Return an upper bound of the slopes in each cell: each kink inside adds half of what it changes them by."""
        middle = np.where(cut, (stage.positive + stage.negative) / 2, _slopes(stage, signs))
        spread = np.where(cut, np.abs(stage.positive - stage.negative) / 2, 0.0)
        norms = np.sqrt((lines[:, :2] ** 2).sum(axis=1)) * np.sqrt((own**2).sum(axis=0))
        jacobians = passed + (lines[:, :2] * middle[:, None]) @ own.T
        bounds: Floats = (spectral_norms(jacobians) + (spread * norms).sum(axis=1)) / self._scale
        return bounds

    def _examine_polygons(self, polygons: Polygons, jacobians: Floats) -> None:
        """Examine polygons by their Jacobians ``(n, 2, outputs)`` in units of ``scale``."""
        slopes = spectral_norms(jacobians) / self._scale
        if (slopes > self.best).any():
            self.examine(polygons.interior()[:, : self._function.inputs] * self._scale, slopes)

    def examine(self, points: Floats, slopes: Floats) -> None:
        """Raise ``best`` to the largest of ``slopes`` ``(n,)`` that is confirmed at its point ``(n, inputs)``."""
        steeper = np.flatnonzero(slopes > self.best)
        steeper = steeper[np.argsort(-slopes[steeper])]
        for start in range(0, len(steeper), CONFIRMED_TOGETHER):
            some = steeper[start : start + CONFIRMED_TOGETHER]
            real = self._confirm(points[some], slopes[some])
            if real.any():
                self.best = float(slopes[some][real.argmax()])
                return


def spectral_norms(jacobians: Floats) -> Floats:
    """Return the spectral norm of each of the matrices ``(n, inputs, outputs)``, of one or two inputs."""
    squares = (jacobians**2).sum(axis=2)
    if 1 in jacobians.shape[1:]:
        norms: Floats = np.sqrt(squares.sum(axis=1))
        return norms
    # The larger eigenvalue of the 2 x 2 Gram matrix.
    a, b = squares.T
    c = (jacobians[:, 0] * jacobians[:, 1]).sum(axis=1)
    largest: Floats = np.sqrt((a + b + np.hypot(a - b, 2 * c)) / 2)
    return largest


def _slopes(stage: Stage, signs: Booleans) -> Floats:
    slopes: Floats = np.where(signs, stage.positive, stage.negative)
    return slopes


def _preactivations(cells: Cells, stage: Stage) -> Floats:
    """Return the neurons before their activation as linear maps of (x, y, w) on each cell, ``(n, 3, m)``."""
    n, _, state = cells.maps.shape
    lines = (cells.maps.reshape(3 * n, state) @ stage.weight.T).reshape(n, 3, len(stage.bias))
    lines[:, 2] += stage.bias
    norms = np.sqrt((lines**2).sum(axis=1))
    terms = np.sqrt((cells.maps**2).sum(axis=(1, 2)))[:, None] * np.sqrt((stage.weight**2).sum(axis=1))
    lines.swapaxes(1, 2)[norms <= VANISHED * (terms + np.abs(stage.bias))] = 0
    return lines
