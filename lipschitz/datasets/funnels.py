"""Funnels: the pairs of the continuous Wasserstein-1 benchmark, by formula or as published."""

import hashlib
import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from lipschitz.datasets.base import Dataset
from lipschitz.datasets.pairs import PairData, uniform
from lipschitz.datasets.points import square
from lipschitz.errors import InputError
from lipschitz.streams import stream

HALF, BIAS = 2.5, 0.1
"""Half the side of the cube, and the standard deviation of the funnels' heights."""
W1_SAMPLES = 2**18
"""Points by which the true W1 is integrated."""
CHUNK = 2**13


class Funnels(Dataset):
    """Q uniform on a cube, P made from it by contracting every transport ray of f(x) = min_n (‖x - a_n‖ + b_n).

    a_n is uniform in [-2.5, 2.5]^dim, the cube, and b_n ~ N(0, 0.1²). From the active centre a_n a ray leads to where
    it leaves the cube or another funnel becomes active; T takes a point at the relative position t on it to t^degree.
    -f is then the optimal potential, and W1(P, Q) = E‖y - T(y)‖.
    """

    source: ClassVar[str] = "Korotin et al. 2022, arXiv:2206.07767, continuous Wasserstein-1 benchmark"
    kind: ClassVar[Literal["points", "images", "pairs"]] = "pairs"

    dim: PositiveInt = 2
    """Dimensions of the space."""
    width: PositiveInt = 4
    """Number of funnels."""
    degree: Annotated[float, Field(gt=1)] = 8.0
    """Exponent of the relative position on a ray."""
    seed: NonNegativeInt = 0
    """Of the funnels that are drawn by formula; not the training seed."""
    published: bool = False
    """Read the funnels from ``funnels/dim_<dim>/width_<width>.pt`` below ``--data-root``, as published."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(dim,)``."""
        return (self.dim,)

    def load(self, data_root: Path | None, device: torch.device) -> PairData:
        """Return the pair; ``data_root`` is read where the funnels are the published ones."""
        centers, biases = self._read(data_root) if self.published else self._drawn()
        geometry = Geometry(centers.to(device), biases.to(device), self.degree)
        w1, error = geometry.w1()
        half = torch.full((self.dim,), HALF, dtype=torch.float64, device=device)
        return PairData(
            self.dim,
            lambda n, rng, dtype: uniform(n, -half, half, rng, dtype),
            geometry.move,
            lambda x: -geometry.height(x),
            lambda y: -geometry.ray(y).direction,
            w1,
            error,
            geometry.hash(),
            square(1.05 * HALF) if self.dim == 2 else None,
        )

    def _drawn(self) -> tuple[Tensor, Tensor]:
        rng = stream(self.seed, f"funnels/{self.dim}/{self.width}")
        centers = torch.rand(self.width, self.dim, generator=rng, dtype=torch.float64).mul(2).sub(1).mul(HALF)
        return centers, torch.randn(self.width, generator=rng, dtype=torch.float64) * BIAS

    def _read(self, data_root: Path | None) -> tuple[Tensor, Tensor]:
        """Read ``net.centers`` ``(width, dim)`` and ``net.bias`` ``(width,)`` of a published pair."""
        if data_root is None:
            raise InputError(f"{self.label()}: reads published funnels: say where they are by --data-root DIR")
        path = data_root / "funnels" / f"dim_{self.dim}" / f"width_{self.width}.pt"
        if not path.exists():
            raise InputError(
                f"{path}: not there; put benchmarks/nd/dim_{self.dim}/width_{self.width}/deg_8_seed_987.pt of "
                "github.com/justkolesov/Wasserstein1Benchmark there, or leave out published"
            )
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            # Damaged bytes make the unpickler raise nearly anything.
            raise InputError(
                f"{path}: cannot be read: {str(error).splitlines()[0] if str(error) else error!r}"
            ) from None
        wanted = {"net.centers": (self.width, self.dim), "net.bias": (self.width,)}
        found = {key: tuple(value.shape) for key, value in state.items()} if isinstance(state, dict) else type(state)
        if found != wanted:
            raise InputError(f"{path}: holds {found}; allowed: {wanted}")
        return state["net.centers"].double(), state["net.bias"].double()


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
        # A funnel never takes over from itself, whatever rounding makes of 0 / 0; nor does one that is active nowhere.
        numerator = ((apart**2 - self._c**2) / 2).fill_diagonal_(math.inf)
        self._numerator = torch.where(numerator > 0, numerator, math.inf)
        self._as: dict[torch.dtype, tuple[Tensor, ...]] = {}

    def height(self, x: Tensor) -> Tensor:
        """Return f(x) ``(n,)``."""
        centers, biases, *_ = self._cast(x.dtype)
        return (torch.cdist(x, centers, compute_mode="donot_use_mm_for_euclid_dist") + biases).amin(dim=1)

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
        wall = (torch.copysign(direction.new_tensor(HALF), direction) - center) / direction
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
