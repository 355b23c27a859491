"""The exact Lipschitz constant of a piecewise-linear network on one or two inputs, in the Euclidean norm."""

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lipschitz.errors import first_line
from lipschitz.estimation.exact.affine_trace import Unreadable, read_stages
from lipschitz.estimation.exact.line_cuts import TooManyPolygons
from lipschitz.estimation.exact.polygons import Booleans
from lipschitz.estimation.exact.rectified_stages import Floats, RectifiedStages
from lipschitz.estimation.exact.slope_bounds import spectral_norms
from lipschitz.estimation.exact.subdivision import Search

MAX_INPUTS = 2
MAX_CELLS = 500_000
"""Largest number of polygons of a search, those of all layers together: about five seconds on one core."""
SCALES = (1e-3, 0.03, 0.3, 1.0, 3.0, 30.0, 1e3)
"""Sizes of the random points where the search starts, and where network and stages are compared."""
POINTS = 128
"""Random points of each scale."""
AGREEMENT = 1e-9
"""Largest relative difference of the network and the stages that were read off it."""
SLOPES_AGREE = 1e-6
"""Largest relative difference of a slope and its value by automatic differentiation; torch rounds some derivatives."""
AT_KINKS = 0.01
"""Largest share of random points where automatic differentiation may give another slope."""


class Exact(NamedTuple):
    """The exact Lipschitz constant of a network, or the reason why there is none."""

    constant: float
    """The largest slope; NaN where there is a reason."""
    cells: int
    """Number of polygons that were examined."""
    reason: str = ""
    """Why the constant is not computed; empty where it is."""


def exact_constant(net: nn.Module, shape: tuple[int, ...], *, max_cells: int = MAX_CELLS, prune: bool = True) -> Exact:
    """Return the Lipschitz constant of ``net`` over all inputs: the largest slope of all its linear regions.

    The whole plane is cut, so regions far outside the data, which hold the slopes at infinity, count as well. The
    largest slope is confirmed by automatic differentiation at a point inside its region. Regions that are thinner than
    rounding, 1e-12 on the unit sphere of (x, y, w), are not seen.

    Args:
        net: in float64 and eval mode, see `lipschitz.estimation.float64_copy.float64_copy`; it does not mix samples.
        shape: of one sample, of one or two numbers.
        max_cells: largest number of polygons, those of all layers together; above it there is no constant.
        prune: whether to leave out polygons that cannot hold the largest slope. Without it ``cells`` is the number of
            linear regions, those that the two axes cut counted twice or more.

    Returns:
        The constant, or a reason: too many inputs or polygons, or a network that is not piecewise linear.
    """
    if (inputs := math.prod(shape)) not in range(1, MAX_INPUTS + 1):
        return Exact(math.nan, 0, f"it is computed for one or two inputs, got {inputs}")
    net = copy.deepcopy(net).cpu()
    # Huge weights overflow, and the result is then not finite, which is noticed.
    with np.errstate(all="ignore"):
        try:
            return _constant_of(net, read_stages(net, shape), shape, max_cells, prune)
        except Unreadable as error:
            return Exact(math.nan, 0, str(error))


def _constant_of(
    net: nn.Module, function: RectifiedStages, shape: tuple[int, ...], max_cells: int, prune: bool
) -> Exact:
    inputs = function.inputs
    scale = _scale(function)
    points = np.concatenate([size * scale * _NORMAL[:, :inputs] for size in SCALES])
    if not _agree(net, shape, function, points):
        return Exact(math.nan, 0, "its affine maps, as read off a forward pass, do not give its outputs")

    def confirm(points: Floats, slopes: Floats) -> Booleans:
        found = spectral_norms(_jacobians(net, shape, points))
        return np.abs(found - slopes) <= SLOPES_AGREE * slopes

    slopes = spectral_norms(function.jacobians(points))
    differences = np.abs(spectral_norms(_jacobians(net, shape, points)) - slopes)
    if (differences > SLOPES_AGREE * slopes.max()).mean() > AT_KINKS:
        return Exact(math.nan, 0, "automatic differentiation does not give its slopes")
    search = Search(function, confirm, scale=scale, max_cells=max_cells, prune=prune)
    search.examine(points, slopes)
    try:
        search.run()
    except TooManyPolygons:
        return Exact(math.nan, search.cells, f"more than {max_cells:,} polygons")
    if search.best == 0 and slopes.any():
        return Exact(math.nan, search.cells, "automatic differentiation does not give its slopes")
    return Exact(search.best, search.cells)


_NORMAL: Floats = np.random.default_rng(0).standard_normal((POINTS, MAX_INPUTS))


def _scale(function: RectifiedStages) -> float:
    """Return the median distance from zero of the kinks of the first stage, a unit of length; one without kinks."""
    if not function.stages:
        return 1.0
    first = function.stages[0]
    norms = np.sqrt((first.weight**2).sum(axis=1))
    distances = np.abs(first.bias[norms > 0]) / norms[norms > 0]
    distances = distances[distances > 0]
    return float(np.median(distances)) if len(distances) else 1.0


def _agree(net: nn.Module, shape: tuple[int, ...], function: RectifiedStages, points: Floats) -> bool:
    """Say whether ``net`` and ``function`` have the same values at ``points``, at every scale."""
    with torch.no_grad():
        outputs = net(torch.from_numpy(points).reshape(-1, *shape)).reshape(len(points), -1).numpy()
    read = function.values(points)
    if read.shape != outputs.shape or not np.isfinite(outputs).all():
        return False
    for of_net, of_stages in zip(*(np.split(values, len(SCALES)) for values in (outputs, read)), strict=True):
        size = np.ptp(of_net, axis=0).max()
        if np.abs(of_net - of_stages).max() > AGREEMENT * size + 1e-13 * np.abs(of_net).max():
            return False
    return True


def _jacobians(net: nn.Module, shape: tuple[int, ...], points: Floats) -> Floats:
    """Return the Jacobians ``(n, inputs, outputs)`` of ``net`` by automatic differentiation.

    Raises:
        Unreadable: it fails, as after a change in place of a value that it needs.
    """
    try:
        return _differentiated(net, shape, points)
    except RuntimeError as error:
        raise Unreadable(f"automatic differentiation fails: {first_line(error)}") from None


def _differentiated(net: nn.Module, shape: tuple[int, ...], points: Floats) -> Floats:
    with torch.enable_grad():
        at = torch.from_numpy(np.ascontiguousarray(points)).reshape(-1, *shape).requires_grad_()
        outputs = net(at.clone()).reshape(len(points), -1)
        if not outputs.requires_grad:
            return np.zeros((*points.shape, outputs.shape[1]))
        columns = [
            torch.autograd.grad(outputs[:, k].sum(), at, retain_graph=True, allow_unused=True, materialize_grads=True)[
                0
            ]
            for k in range(outputs.shape[1])
        ]
    return torch.stack([column.reshape(points.shape) for column in columns], dim=2).numpy()
