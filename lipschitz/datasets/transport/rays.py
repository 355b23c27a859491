"""Transport rays of funnels f(x) = min_n (‖x - a_n‖ + b_n) inside a cube."""

import hashlib
import math
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.datasets.transport.pair_data import uniform
from lipschitz.random_streams import stream

HALF = 2.5
"""Half the side of the cube."""
W1_SAMPLES = 2**18
"""Points of the Monte Carlo integration of W1."""
CHUNK = 2**13
"""Points that are integrated at a time."""


class Ray(NamedTuple):
    """Positions of points ``(n, d)`` on their transport rays."""

    center: Tensor
    """``(n, d)``: the lower end of the ray, a centre a_n."""
    direction: Tensor
    """``(n, d)``, of norm one: away from the centre."""
    distance: Tensor
    """``(n,)``: distance of the point from the centre."""
    length: Tensor
    """``(n,)``: length of the ray."""


class Geometry:
    """f(x) = min_n (‖x - a_n‖ + b_n) and its rays; ``centers`` a ``(width, d)``, ``biases`` b ``(width,)``, float64."""

    def __init__(self, centers: Tensor, biases: Tensor, degree: float) -> None:
        self.centers, self.biases, self.degree = centers, biases, degree
        # On a ray u of funnel n, funnel m becomes active at (‖d‖² - c²) / 2 (c - <d, u>): d = a_n - a_m, c = b_n - b_m.
        self._c = biases[:, None] - biases[None, :]
        distances = torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist")
        # Not positive for a funnel and itself, and for one that is active nowhere: it never becomes active.
        numerator = (distances**2 - self._c**2) / 2
        self._numerator = torch.where(numerator > 0, numerator, math.inf)
        self._by_dtype: dict[torch.dtype, tuple[Tensor, ...]] = {}

    def height(self, x: Tensor) -> Tensor:
        """Return f(x) ``(n,)``."""
        centers, biases, *_ = self._cast(x.dtype)
        return (torch.cdist(x, centers, compute_mode="donot_use_mm_for_euclid_dist") + biases).amin(dim=1)

    def height_as_published(self, x: Tensor) -> Tensor:
        """Return f(x) ``(n,)`` with the rounding of the benchmark's code: float32, distances by a matrix product.

        Within about 1e-3 of a centre the distance is rounded to zero, and so is its gradient by autograd.
        """
        centers, biases, *_ = self._cast(torch.float32)
        distances = torch.cdist(x.float(), centers, compute_mode="use_mm_for_euclid_dist")
        return (distances + biases).amin(dim=1)

    def ray(self, x: Tensor) -> Ray:
        """Return the ray of each of ``x`` ``(n, d)``, all inside the cube."""
        centers, biases, c, numerator = self._cast(x.dtype)
        active = (torch.cdist(x, centers) + biases).min(dim=1).indices
        center = centers.index_select(0, active)
        offset = x - center
        distance = torch.linalg.vector_norm(offset, dim=1)
        direction = offset / distance.clamp_min(torch.finfo(x.dtype).tiny)[:, None]
        along = (center * direction).sum(dim=1, keepdim=True) - direction @ centers.T
        # If the gap is not positive, the other funnel never becomes active: its distance is infinite.
        gap = (c.index_select(0, active) - along).clamp_min_(0)
        other = numerator.index_select(0, active) / gap
        wall = (torch.copysign(direction.new_full((), HALF), direction) - center) / direction
        length = torch.minimum(other.amin(dim=1), wall.nan_to_num(nan=math.inf).amin(dim=1))
        # Rounding must not make a ray end before its point.
        return Ray(center, direction, distance, torch.maximum(length, distance))

    def move(self, x: Tensor) -> Tensor:
        """Return T(x): the relative position t on the ray becomes t^degree."""
        ray = self.ray(x)
        position = ray.length * (ray.distance / ray.length) ** self.degree
        return ray.center + position[:, None] * ray.direction

    def w1(self) -> tuple[float, float]:
        """Return W1(P, Q) and its standard error, by Monte Carlo integration over the cube.

        On a ray of length s the relative position t has the density d t^(d-1) for every direction, so the mean of
        s (t - t^degree) is s (d / (d + 1) - d / (d + degree)). Only E s is integrated.
        """
        dimension = self.centers.shape[1]
        rng = stream(0, "funnels/w1", self.centers.device)
        half = torch.full((dimension,), HALF, dtype=torch.float64, device=self.centers.device)
        lengths = torch.cat(
            [self.ray(uniform(CHUNK, -half, half, rng, torch.float64)).length for _ in range(W1_SAMPLES // CHUNK)]
        )
        factor = dimension / (dimension + 1) - dimension / (dimension + self.degree)
        return factor * float(lengths.mean()), factor * float(lengths.std()) / math.sqrt(len(lengths))

    def hash(self) -> str:
        """Return the SHA-256, in hex, of the numbers that define the pair, as little-endian float64."""
        numbers = torch.cat([self.centers.flatten(), self.biases, self.biases.new_tensor([self.degree, HALF])])
        return hashlib.sha256(numbers.cpu().numpy().astype("<f8").tobytes()).hexdigest()

    def _cast(self, dtype: torch.dtype) -> tuple[Tensor, ...]:
        if dtype not in self._by_dtype:
            self._by_dtype[dtype] = tuple(
                value.to(dtype) for value in (self.centers, self.biases, self._c, self._numerator)
            )
        return self._by_dtype[dtype]
