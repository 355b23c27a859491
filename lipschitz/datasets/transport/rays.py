"""Transport rays of funnels, f(x) = min_n (‖x - a_n‖ + b_n), inside a cube."""

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
"""Points by which the true W1 is integrated."""
CHUNK = 2**13


class Ray(NamedTuple):
    """Where points ``(n, d)`` lie on their transport rays."""

    center: Tensor
    """``(n, d)``: the lower end, a centre."""
    direction: Tensor
    """``(n, d)``, of norm one: away from it."""
    distance: Tensor
    """``(n,)``: of the point from the lower end."""
    length: Tensor
    """``(n,)``: of the ray."""


class Geometry:
    """f(x) = min_n (‖x - a_n‖ + b_n) with its rays inside the cube, for ``centers`` ``(width, d)``, in float64."""

    def __init__(self, centers: Tensor, biases: Tensor, degree: float) -> None:
        self.centers, self.biases, self.degree = centers, biases, degree
        # On a ray u of funnel n, funnel m becomes active at (‖d‖² - c²) / 2 (c - <d, u>): d = a_n - a_m, c = b_n - b_m.
        self._c = biases[:, None] - biases[None, :]
        apart = torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist")
        # A funnel never takes over from itself, nor does one that is active nowhere.
        numerator = (apart**2 - self._c**2) / 2
        self._numerator = torch.where(numerator > 0, numerator, math.inf)
        self._as: dict[torch.dtype, tuple[Tensor, ...]] = {}

    def height(self, x: Tensor) -> Tensor:
        """Return f(x) ``(n,)``."""
        centers, biases, *_ = self._cast(x.dtype)
        return (torch.cdist(x, centers, compute_mode="donot_use_mm_for_euclid_dist") + biases).amin(dim=1)

    def height_as_published(self, x: Tensor) -> Tensor:
        """Return f(x) ``(n,)`` as the benchmark's code computes it: in float32, distances by a matrix product.

        Within about 1e-3 of a centre a distance cancels to zero, and so does the gradient that autograd makes of it.
        """
        centers, biases, *_ = self._cast(torch.float32)
        distances = torch.cdist(x.float(), centers, compute_mode="use_mm_for_euclid_dist")
        return (distances + biases).amin(dim=1)

    def ray(self, x: Tensor) -> Ray:
        """Return the ray of each of ``x`` ``(n, d)``, all inside the cube."""
        centers, biases, c, numerator = self._cast(x.dtype)
        active = (torch.cdist(x, centers) + biases).min(dim=1).indices
        center = centers.index_select(0, active)
        away = x - center
        distance = torch.linalg.vector_norm(away, dim=1)
        direction = away / distance.clamp_min(torch.finfo(x.dtype).tiny)[:, None]
        along = (center * direction).sum(dim=1, keepdim=True) - direction @ centers.T
        # Where the gap is not positive the other funnel never becomes active: at infinity.
        gap = (c.index_select(0, active) - along).clamp_min_(0)
        other = numerator.index_select(0, active) / gap
        wall = (torch.copysign(direction.new_full((), HALF), direction) - center) / direction
        length = torch.minimum(other.amin(dim=1), wall.nan_to_num(nan=math.inf).amin(dim=1))
        # Rounding must not put a point beyond the end of its own ray.
        return Ray(center, direction, distance, torch.maximum(length, distance))

    def move(self, x: Tensor) -> Tensor:
        """Return T(x): the relative position t on the ray becomes t^degree."""
        ray = self.ray(x)
        position = ray.length * (ray.distance / ray.length) ** self.degree
        return ray.center + position[:, None] * ray.direction

    def w1(self) -> tuple[float, float]:
        """Return W1(P, Q) and its standard error, by integration over uniform points of the cube.

        On a ray of length s the density of the relative position t is d t^(d-1), whatever the direction: the mean of
        s (t - t^degree) is s (d / (d + 1) - d / (d + degree)), and only E s is left to integrate.
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
        """Return the SHA-256, in hex, of what defines the pair, as little-endian float64."""
        numbers = torch.cat([self.centers.flatten(), self.biases, self.biases.new_tensor([self.degree, HALF])])
        return hashlib.sha256(numbers.cpu().numpy().astype("<f8").tobytes()).hexdigest()

    def _cast(self, dtype: torch.dtype) -> tuple[Tensor, ...]:
        if dtype not in self._as:
            self._as[dtype] = tuple(value.to(dtype) for value in (self.centers, self.biases, self._c, self._numerator))
        return self._as[dtype]
