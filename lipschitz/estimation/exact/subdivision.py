"""Search the linear regions of a piecewise-linear function of the plane for its largest slope.

The plane is cut layer by layer into convex polygons, on each of which the network is one affine map (Humayun et al.
2023, SplineCam, arXiv:2302.12828). Polygons that cannot hold a larger slope than one already found are left out before
the last two layers cut them.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from lipschitz.estimation.exact.line_cuts import CHUNK, norms, sides, subdivide
from lipschitz.estimation.exact.polygons import Booleans, Polygons, line, plane
from lipschitz.estimation.exact.rectified_stages import Floats, RectifiedStages, Stage
from lipschitz.estimation.exact.slope_bounds import Neurons, one_stage_bound, spectral_norms, two_stage_bound

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
            following = stages[depth + 1] if depth == len(stages) - 2 else None
            for chunk in self._cut(cells, stages[depth], following):
                self._search(chunk, depth + 1)

    def _cut(self, cells: Cells, stage: Stage, last: Stage | None) -> Iterator[Cells]:
        """Yield the parts of ``cells`` between the kinks of ``stage``, `CHUNK` at a time; ``last`` may follow it."""
        neurons = _neurons(cells, stage)
        if self._prune and last is not None and not len(stage.kept) + len(last.kept):
            bounds = two_stage_bound(cells.polygons, neurons, last, self._function.weight)
            cells, neurons = self._hopeful(cells, neurons, bounds)
        if not len(cells.maps):
            return
        polygons, parents, signs = subdivide(cells.polygons, neurons.lines, neurons.cut, neurons.signs, self._left)
        self._left -= len(parents)
        for start in range(0, len(parents), CHUNK):
            chunk = slice(start, start + CHUNK)
            own = neurons.lines[parents[chunk]] * _slopes(stage, signs[chunk])[:, None]
            maps = np.concatenate([cells.maps[parents[chunk]][:, :, stage.kept], own], axis=2)
            yield Cells(polygons.between(start, start + CHUNK), maps)

    def _cut_last(self, cells: Cells, stage: Stage) -> None:
        """Cut by the last stage where the slope may be larger than the best; compute slopes, and no state."""
        neurons = _neurons(cells, stage)
        through, own = np.split(self._function.weight, [len(stage.kept)], axis=1)
        if self._prune:
            bounds = one_stage_bound(neurons, cells.maps[:, :2, stage.kept] @ through.T, own)
            cells, neurons = self._hopeful(cells, neurons, bounds)
        if not len(cells.maps):
            return
        polygons, parents, signs = subdivide(cells.polygons, neurons.lines, neurons.cut, neurons.signs, self._left)
        self._left -= len(parents)
        self.cells += len(parents)
        passed = cells.maps[parents][:, :2, stage.kept] @ through.T
        jacobians = (neurons.lines[parents, :2] * _slopes(stage, signs)[:, None]) @ own.T
        self._examine_polygons(polygons, passed + jacobians)

    def _hopeful(self, cells: Cells, neurons: Neurons, bounds: Floats) -> tuple[Cells, Neurons]:
        """Return the cells, and neurons on them, whose bound is above the best slope; count the others."""
        hopeful = bounds > self.best * self._scale
        self.cells += int((~hopeful).sum())
        return Cells(cells.polygons.take(hopeful), cells.maps[hopeful]), neurons.take(hopeful)

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


def _slopes(stage: Stage, signs: Booleans) -> Floats:
    slopes: Floats = np.where(signs, stage.positive, stage.negative)
    return slopes


def _neurons(cells: Cells, stage: Stage) -> Neurons:
    """Return the neurons of ``stage`` on each cell."""
    n, _, state = cells.maps.shape
    lines = (cells.maps.reshape(3 * n, state) @ stage.weight.T).reshape(n, 3, len(stage.bias))
    lines[:, 2] += stage.bias
    terms = np.sqrt((cells.maps**2).sum(axis=(1, 2)))[:, None] * np.sqrt((stage.weight**2).sum(axis=1))
    vanished = norms(lines) <= VANISHED * (terms + np.abs(stage.bias))
    if vanished.any():
        lines.swapaxes(1, 2)[vanished] = 0
    return Neurons(stage, lines, *sides(cells.polygons, lines))
