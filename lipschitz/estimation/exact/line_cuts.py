"""Cut many polygons of the plane, each by lines of its own, all together; in NumPy."""

import numpy as np

from lipschitz.estimation.exact.polygons import Booleans, Integers, Polygons, split
from lipschitz.estimation.exact.rectified_stages import Floats

FLAT = 1e-12
"""A vertex is on a line if its distance on the unit sphere is at most this; a polygon that thin is not cut."""
TURNS = 12
"""Lines that cut a polygon before its parts are asked which of the other lines cut them."""
CHUNK = 256
"""Polygons that are handled together: enough for NumPy, few enough for the processor's cache."""


class TooManyPolygons(Exception):
    """There are more polygons than are allowed."""


def norms(maps: Floats) -> Floats:
    """Return the Euclidean norms ``(n, m)`` of the columns of each of the matrices ``(n, k, m)``."""
    lengths: Floats = np.sqrt(np.einsum("nkm,nkm->nm", maps, maps))
    return lengths


def sides(polygons: Polygons, lines: Floats) -> tuple[Booleans, Booleans]:
    """Return which lines cut which polygons ``(n, m)``, and the sides of the others, true for the positive side.

    Args:
        polygons: n of them.
        lines: m linear functions of (x, y, w) for each polygon, ``(n, 3, m)``.
    """
    values = polygons.padded() @ lines
    low, high = values.min(axis=1), values.max(axis=1)
    flat = FLAT * norms(lines)
    return (low < -flat) & (high > flat), high > -low


def subdivide(
    polygons: Polygons, lines: Floats, cut: Booleans, signs: Booleans, limit: int
) -> tuple[Polygons, Integers, Booleans]:
    """Cut each polygon by its own lines, one line at a time, in all polygons together.

    Args:
        polygons: n of them.
        lines: linear functions of (x, y, w), ``(n, 3, m)``.
        cut: which lines cut which polygons, ``(n, m)``.
        signs: sides of the lines that do not cut, ``(n, m)``.
        limit: largest number of parts.

    Returns:
        The parts, the index of the polygon that each is a part of, and each part's sides of all lines.

    Raises:
        TooManyPolygons: there are more parts than ``limit``.
    """
    counts = cut.sum(axis=1)
    neurons = np.nonzero(cut)[1]
    first = np.cumsum(counts) - counts
    lengths = norms(lines)
    parents = np.arange(len(counts))
    done: list[tuple[Polygons, Integers, Booleans]] = []
    ended = 0
    for turn in range(counts.max(initial=0) + 1):
        waiting = counts[parents] > turn
        if not waiting.all():
            done.append((polygons.take(~waiting), parents[~waiting], signs[~waiting]))
            polygons, parents, signs = polygons.take(waiting), parents[waiting], signs[waiting]
            ended += len(done[-1][1])
        if ended + len(parents) > limit:
            raise TooManyPolygons
        if not len(parents):
            break
        if turn == TURNS:
            later = cut & (np.cumsum(cut, axis=1) > TURNS)
            done += _subdivide_by_chunks(polygons, parents, signs, lines, later, limit - ended)
            break
        neuron = neurons[first[parents] + turn]
        values = np.einsum("vk,vk->v", polygons.vertices, np.repeat(lines[parents, :, neuron], polygons.sizes, axis=0))
        values[np.abs(values) <= np.repeat(FLAT * lengths[parents, neuron], polygons.sizes)] = 0
        starts = polygons.starts()
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        signs[np.arange(len(parents)), neuron] = high > -low
        both = (low < 0) & (high > 0)
        if both.any():
            halves = split(polygons.take(both), values[np.repeat(both, polygons.sizes)])
            polygons = _joined([polygons.take(~both), halves])
            parents = np.concatenate([parents[~both], parents[both], parents[both]])
            signs = np.concatenate([signs[~both], signs[both], signs[both]])
            places = np.arange(len(parents) - 2 * both.sum(), len(parents))
            signs[places, np.tile(neuron[both], 2)] = np.repeat([True, False], both.sum())
    return (
        _joined([part[0] for part in done]),
        np.concatenate([part[1] for part in done]),
        np.concatenate([part[2] for part in done]),
    )


def _subdivide_by_chunks(
    polygons: Polygons, parents: Integers, signs: Booleans, lines: Floats, later: Booleans, limit: int
) -> list[tuple[Polygons, Integers, Booleans]]:
    """Cut parts of polygons by those of the ``later`` lines ``(n, m)`` of their ``parents`` that still cut them."""
    done = []
    for start in range(0, len(parents), CHUNK):
        chunk = slice(start, start + CHUNK)
        some, own = polygons.between(start, start + CHUNK), lines[parents[chunk]]
        cut, positive = sides(some, own)
        undecided = later[parents[chunk]]
        decided = np.where(undecided, positive, signs[chunk])
        parts, of_some, of_lines = subdivide(some, own, cut & undecided, decided, limit)
        done.append((parts, parents[chunk][of_some], of_lines))
        limit -= len(of_some)
    return done


def _joined(parts: list[Polygons]) -> Polygons:
    vertices, sizes = zip(*parts, strict=True)
    return Polygons(np.concatenate(vertices), np.concatenate(sizes))
