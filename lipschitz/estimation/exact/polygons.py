"""Convex polygons of the plane, bounded or not, in homogeneous coordinates, and how lines cut them; in NumPy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipschitz.estimation.exact.rectified_stages import Floats

Integers = NDArray[np.intp]
Booleans = NDArray[np.bool_]


class Polygons(NamedTuple):
    """n convex polygons with their vertices in cyclic order.

    A vertex (x, y, w), w >= 0, of norm one is the point (x/w, y/w). With w = 0 it lies at infinity in the direction
    (x, y). So an unbounded polygon is like any other, and no bounding box is needed.
    """

    vertices: Floats
    """Vertices of all polygons, one polygon after the other, ``(v, 3)``."""
    sizes: Integers
    """Number of vertices of each polygon, ``(n,)``."""

    def take(self, chosen: Booleans) -> "Polygons":
        """Return the polygons where ``chosen`` ``(n,)`` is true."""
        return Polygons(self.vertices[np.repeat(chosen, self.sizes)], self.sizes[chosen])

    def between(self, start: int, stop: int) -> "Polygons":
        """Return the polygons with index ``start`` to ``stop`` - 1."""
        ends = np.concatenate([[0], np.cumsum(self.sizes)])
        last = min(stop, len(self.sizes))
        return Polygons(self.vertices[ends[start] : ends[last]], self.sizes[start:stop])

    def padded(self) -> Floats:
        """Return the vertices as ``(n, largest size, 3)``; a smaller polygon repeats its first vertex."""
        places = np.arange(self.sizes.max())
        places = np.where(places < self.sizes[:, None], places, 0)
        return self.vertices[places + self.starts()[:, None]]

    def starts(self) -> Integers:
        """Return the place of the first vertex of each polygon, ``(n,)``."""
        starts: Integers = np.cumsum(self.sizes) - self.sizes
        return starts

    def interior(self) -> Floats:
        """Return a point ``(n, 2)`` inside each polygon; of an unbounded polygon one that lies as far as its corners.

        It is the mean of the vertices on the sphere.
        """
        mean = np.add.reduceat(self.vertices, self.starts())
        return mean[:, :2] / mean[:, 2:]


def plane() -> Polygons:
    """Return the four quadrants; two vertices of each lie at infinity."""
    right, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    origin = np.array([0.0, 0.0, 1.0])
    turns = [(right, up), (up, -right), (-right, -up), (-up, right)]
    return Polygons(np.array([[origin, *pair] for pair in turns]).reshape(-1, 3), np.full(4, 3))


def line() -> Polygons:
    """Return the half-plane y > 0 in two pieces, where lines parallel to its y axis cut as points cut a line."""
    return Polygons(plane().vertices[:6], np.full(2, 3))


def split(polygons: Polygons, values: Floats) -> Polygons:
    """Cut every polygon in two by a line; return the n parts on its positive side, then the n on its negative side.

    Args:
        polygons: each has a vertex on both sides.
        values: of the line's linear function at each vertex, ``(v,)``; zero on the line.
    """
    starts, sizes = polygons.starts(), polygons.sizes
    following = np.arange(1, len(values) + 1)
    following[starts + sizes - 1] = starts
    signs = np.sign(values)
    crossed = np.flatnonzero(signs * signs[following] < 0)
    ahead = following[crossed]
    weights = np.abs(values)
    points = weights[ahead, None] * polygons.vertices[crossed] + weights[crossed, None] * polygons.vertices[ahead]
    points /= np.sqrt((points**2).sum(axis=1, keepdims=True))
    # In the order of the edges: each vertex is followed by the crossing of the edge that starts there.
    candidates = np.concatenate([polygons.vertices, points])
    ranks = np.concatenate([2 * np.arange(len(values)), 2 * crossed + 1])
    owners = np.repeat(np.arange(len(sizes)), sizes)
    owners = np.concatenate([owners, owners[crossed]])
    signs = np.concatenate([signs, np.zeros(len(crossed))])
    order = np.argsort(ranks, kind="stable")
    halves = [order[signs[order] >= 0], order[signs[order] <= 0]]
    return Polygons(
        candidates[np.concatenate(halves)],
        np.concatenate([np.bincount(owners[half], minlength=len(sizes)) for half in halves]),
    )
