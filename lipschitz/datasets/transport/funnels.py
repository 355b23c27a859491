"""Funnels: the pairs of the continuous Wasserstein-1 benchmark, drawn by formula or read from published files."""

import zipfile
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from lipschitz.config import Dimensions, Seed
from lipschitz.datasets.base import DEFAULT_DATA_ROOT, Dataset
from lipschitz.datasets.point_data import square_extent
from lipschitz.datasets.transport.pair_data import PairData, uniform
from lipschitz.datasets.transport.rays import HALF, Geometry
from lipschitz.errors import InputError, MissingInput, printable
from lipschitz.files import open_regular
from lipschitz.random_streams import stream

_ORIGIN = "benchmarks/nd/dim_{}/width_{}/deg_8_seed_987.pt of github.com/justkolesov/Wasserstein1Benchmark"
MAX_BYTES = 2**24
"""Bytes that a published file may take in memory; the largest takes 133,159."""
BIAS = 0.1
"""Standard deviation of the b_n."""
PUBLISHED_HASHES: dict[tuple[int, int], str] = {
    (2, 4): "0dfdd1bd142ff02fcd3dc9c0ab0ea0f07b11d1d52a7b206507e18f072507612b",
    (2, 16): "554d05eb65f18017a2f13c8b613abc7ed3c6d16f292658e27e868fe74fa5d47b",
    (2, 64): "a1e9cf7a955153b02bc8f50d8a0c6d04170414377d62bac989b54b62f20f10d5",
    (2, 256): "d84984154da8cf0e79e0bdbaf71b4d677d9b0f24d639267ead0ea82e85abb06a",
    (4, 4): "1467a41437a1e39185e123e28ac70a30d2f5643d3c969801aa0a9a11ba520707",
    (4, 16): "e32957021a2d8df27cb913d4abb5339150936a39966a0c0a1c947c2a1f85d8ad",
    (4, 64): "c247ac76e2f827080c4998f4e019ee9895768d2e0e24b4caad994c9a09af1301",
    (4, 256): "ac8f94b7f0b3bc99acd0211286d65cb038bcb3ae1ec61fb47d265987272981dc",
    (16, 4): "6e6a2fc7081b36b596cde71fccd1949048b4f5763ff989605b4b7364385c98b7",
    (16, 16): "c0385b6b5c19288e702ca0292fd2d4dc8a4ed46f69864dabef084092c906ebb7",
    (16, 64): "fc026418f8d40b659f6c50f83f5881eeb2424163b37425b80a3f1d435efb68d7",
    (16, 256): "6b50e5d6b5d062786bcff2c663511a2f93bf19b055b849d26f32d2c8d9698c47",
    (64, 4): "1ead60e05f18bb5c797bf139cb2ecdad24761d3348600c57419f46f216e3cc47",
    (64, 16): "feb7ced9cc6846f61ac888883e1f61deb85c5a64e01f6ae8d1c212a67f0786c7",
    (64, 64): "b8439c6e1cc86398a9043aaabb63d0640464c097e4e6fd78322d08c55d7c63bc",
    (64, 256): "81d0c2d06fc75d090a288e665ea8640e68972c9e388d1e62680fdfbf9729fe1a",
    (128, 4): "567d740c0519cfd41cb4aaf087d96b4ea0371b2d48966962e8143c7f951fa2b8",
    (128, 16): "bd75bddcfbd3c4fbb2a61064f8257f6be411dc5f59c4b0c9c034033ef1ace9a3",
    (128, 64): "3fd357ada86616145c479f32ba720d0c32cc09e3a5938045c9b35a79f0b88a88",
    (128, 256): "702e4e6cd9fe1b5cefc1f8e0acf7aba3ca57505d3950425fd2c1bb2f352fe651",
}
"""Hash of the published funnels by dimension and width, as `rays.Geometry.hash` computes it, of degree 8.

The files of dimension 8 and 32 have no hash here yet.
"""


class Funnels(Dataset):
    """Q uniform on a cube; P is its image under a contraction of the transport rays of f(x) = min_n (‖x - a_n‖ + b_n).

    a_n is uniform in the cube [-2.5, 2.5]^dim, and b_n ~ N(0, 0.1²). A ray starts at the active centre a_n and ends
    where it leaves the cube or another funnel becomes active; T moves a point from the relative position t on its ray
    to t^degree. Then -f is the optimal potential, and W1(P, Q) = E‖y - T(y)‖.
    """

    source = "Korotin et al. 2022, arXiv:2206.07767, continuous Wasserstein-1 benchmark"
    kind = "pairs"

    dim: Dimensions = 2
    """Dimensions of the space."""
    width: Annotated[int, Field(ge=1, le=1000)] = 4
    """Number of funnels."""
    degree: Annotated[float, Field(gt=1, le=1000)] = 8.0
    """Exponent of the relative position on a ray."""
    seed: Seed = 0
    """Seed of funnels that are drawn by formula; not the training seed."""
    published: bool = False
    """Read the published funnels from ``funnels/dim_<dim>/width_<width>.pt`` below ``--data-root``."""

    @model_validator(mode="after")
    def _is_published(self) -> Self:
        if not self.published:
            return self
        if meaningless := sorted({"degree", "seed"} & set(self.changed())):
            raise ValueError(f"published funnels have degree 8 and no seed; leave out {' and '.join(meaningless)}")
        if (self.dim, self.width) not in PUBLISHED_HASHES:
            dims, widths = (", ".join(map(str, sorted(set(side)))) for side in zip(*PUBLISHED_HASHES, strict=True))
            raise ValueError(
                f"published funnels of dim {self.dim} and width {self.width} are not supported; supported: "
                f"dim {dims}, width {widths}"
            )
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """``(dim,)``."""
        return (self.dim,)

    def load(self, data_root: Path | None, device: torch.device) -> PairData:
        """Return the pair; ``data_root``, by default ``data``, is read for published funnels.

        Raises:
            InputError: the file of the published funnels is missing, unreadable or another file.
        """
        centers, biases = self._read(data_root or DEFAULT_DATA_ROOT) if self.published else self._drawn()
        geometry = Geometry(centers.to(device), biases.to(device), self.degree)
        # On the CPU, so that the number is the same for every device.
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
            square_extent(1.05 * HALF) if self.dim == 2 else None,
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
            raise MissingInput(
                f"{path}: file not found (below --data-root); download {_ORIGIN.format(self.dim, self.width)} to this "
                "path, or leave out published"
            )
        state = _load(path)
        shapes = {"net.centers": (self.width, self.dim), "net.bias": (self.width,)}
        if not isinstance(state, dict) or state.keys() != shapes.keys():
            found = ", ".join(map(str, state)) if isinstance(state, dict) else f"a {type(state).__name__}"
            found = printable(found[:80]) or "nothing"
            raise InputError(f"{path}: expected {' and '.join(shapes)} alone, got {found}")
        for name, shape in shapes.items():
            value = state[name]
            if not (isinstance(value, Tensor) and _is_plain(value) and value.shape == shape):
                found = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)[:80]
                raise InputError(f"{path}: {name}: expected floating-point numbers {shape}, got {found}")
        centers, biases = (state[name].detach().double() for name in shapes)
        # Also false for NaN.
        if not bool((centers.abs() <= HALF).all()):
            raise InputError(f"{path}: net.centers: expected finite numbers from -{HALF} to {HALF}")
        if not bool(biases.isfinite().all()):
            raise InputError(f"{path}: net.bias: expected finite numbers")
        if Geometry(centers, biases, self.degree).hash() != PUBLISHED_HASHES[self.dim, self.width]:
            raise InputError(
                f"{path}: not the published funnels; download {_ORIGIN.format(self.dim, self.width)} again"
            )
        return centers, biases


def _is_plain(value: Tensor) -> bool:
    """Return whether these are floating-point numbers in memory, not sparse ones."""
    return value.is_floating_point() and value.layout == torch.strided and not value.is_meta


def _load(path: Path) -> Any:
    try:
        with open_regular(path) as file:
            # Members may be compressed: a small file can claim more than the memory.
            with zipfile.ZipFile(file) as archive:
                if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                    raise ValueError("too large")
            file.seek(0)
            # A damaged sparse tensor would be read beyond its memory. torch 2.11 warns where this is left open.
            with torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
                return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:
        # A damaged file can raise any exception, and torch's message recommends to run the file's code.
        raise InputError(
            f"{path}: damaged, or not a state dict written by torch.save ({type(error).__name__}); download it again"
        ) from None
