"""Funnels: the pairs of the continuous Wasserstein-1 benchmark, by formula or as published."""

from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor

from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset
from lipschitz.datasets.points.point_data import square
from lipschitz.datasets.transport.pair_data import PairData, uniform
from lipschitz.datasets.transport.published_funnels import PINNED
from lipschitz.datasets.transport.rays import HALF, Geometry
from lipschitz.errors import InputError
from lipschitz.random_streams import stream

_ORIGIN = "benchmarks/nd/dim_{}/width_{}/deg_8_seed_987.pt of github.com/justkolesov/Wasserstein1Benchmark"
BIAS = 0.1
"""Standard deviation of the funnels' heights."""


class Funnels(Dataset):
    """Q uniform on a cube, P made from it by contracting every transport ray of f(x) = min_n (‖x - a_n‖ + b_n).

    a_n is uniform in [-2.5, 2.5]^dim, the cube, and b_n ~ N(0, 0.1²). From the active centre a_n a ray leads to where
    it leaves the cube or another funnel becomes active; T takes a point at the relative position t on it to t^degree.
    -f is then the optimal potential, and W1(P, Q) = E‖y - T(y)‖.
    """

    source = "Korotin et al. 2022, arXiv:2206.07767, continuous Wasserstein-1 benchmark"
    kind = "pairs"

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

    @model_validator(mode="after")
    def _is_published(self) -> Self:
        if not self.published:
            return self
        if meaningless := sorted({"degree", "seed"} & set(self.changed())):
            raise ValueError(f"published funnels have degree 8 and no seed; leave out {' and '.join(meaningless)}")
        if (self.dim, self.width) not in PINNED:
            dims, widths = (", ".join(map(str, sorted(set(side)))) for side in zip(*PINNED, strict=True))
            raise ValueError(
                f"published funnels of dim {self.dim} and width {self.width} are not known; allowed: "
                f"dim {dims}, width {widths}"
            )
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """``(dim,)``."""
        return (self.dim,)

    def load(self, data_root: Path | None, device: torch.device) -> PairData:
        """Return the pair; ``data_root``, by default ``data``, is read where the funnels are the published ones.

        Raises:
            InputError: the published funnels are missing, unreadable or no such funnels.
        """
        centers, biases = self._read(data_root or DEFAULT_DATA_ROOT) if self.published else self._drawn()
        geometry = Geometry(centers.to(device), biases.to(device), self.degree)
        # On the CPU, so that it is the same number whatever the device.
        w1, error = Geometry(centers, biases, self.degree).w1()
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
            (lambda x: -geometry.height_as_published(x)) if self.published else None,
        )

    def _drawn(self) -> tuple[Tensor, Tensor]:
        rng = stream(self.seed, f"funnels/{self.dim}/{self.width}")
        centers = torch.rand(self.width, self.dim, generator=rng, dtype=torch.float64).mul(2).sub(1).mul(HALF)
        return centers, torch.randn(self.width, generator=rng, dtype=torch.float64) * BIAS

    def _read(self, data_root: Path) -> tuple[Tensor, Tensor]:
        """Read ``net.centers`` ``(width, dim)`` and ``net.bias`` ``(width,)`` of a published pair, as float64."""
        path = data_root / "funnels" / f"dim_{self.dim}" / f"width_{self.width}.pt"
        if not path.exists():
            raise InputError(
                f"{path}: not there (below --data-root); put {_ORIGIN.format(self.dim, self.width)} there, "
                "or leave out published"
            )
        state = _load(path)
        shapes = {"net.centers": (self.width, self.dim), "net.bias": (self.width,)}
        if not isinstance(state, dict) or state.keys() != shapes.keys():
            found = ", ".join(map(str, state)) if isinstance(state, dict) else f"a {type(state).__name__}"
            raise InputError(f"{path}: holds {found or 'nothing'}; allowed: {' and '.join(shapes)} and no more")
        for name, shape in shapes.items():
            value = state[name]
            if not (isinstance(value, Tensor) and value.is_floating_point() and value.shape == shape):
                found = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
                raise InputError(f"{path}: {name} is {found}; allowed: floating-point numbers {shape}")
        centers, biases = (state[name].detach().double() for name in shapes)
        # Also false of what is not a number.
        if not bool((centers.abs() <= HALF).all()):
            raise InputError(f"{path}: net.centers leaves the cube; allowed: finite numbers from -{HALF} to {HALF}")
        if not bool(biases.isfinite().all()):
            raise InputError(f"{path}: net.bias is not finite; allowed: finite numbers")
        if Geometry(centers, biases, self.degree).hash() != PINNED[self.dim, self.width]:
            raise InputError(
                f"{path}: not the funnels that were published; fetch {_ORIGIN.format(self.dim, self.width)}"
            )
        return centers, biases


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:
        # Damaged bytes make the unpickler raise nearly anything, and torch then recommends to run the file's code.
        raise InputError(
            f"{path}: damaged, or no state dict of torch.save ({type(error).__name__}); fetch it again"
        ) from None
