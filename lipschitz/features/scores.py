"""The numbers of a protocol, from images in the features of the Inception network."""

import json
from pathlib import Path

import numpy as np

from lipschitz.cache import cache_folder
from lipschitz.datasets.images import ImageData
from lipschitz.features.inception import Embedded, Inception
from lipschitz.features.kept import Kept
from lipschitz.features.protocols import NEIGHBOURS, SUBSET_SIZE, SUBSETS, Protocol
from lipschitz.features.statistics import RealStatistics, embedded_draw, identity
from lipschitz.metrics.frechet import frechet_of_moments, moments
from lipschitz.metrics.inception_score import inception_score
from lipschitz.metrics.inner_products import add_inner_products
from lipschitz.metrics.kid import KernelSums
from lipschitz.metrics.precision_recall import NeighbourBalls
from lipschitz.metrics.sample_arrays import as_two_samples


def scores(images: Embedded, real: RealStatistics, protocol: Protocol) -> dict[str, float]:
    """Return the protocol's numbers by recorded name; of ``images``, as many as it takes and there are."""
    found = {
        "fid": frechet_of_moments(moments(images.features[: protocol.n_fake]), real.moments),
        "inception_score": inception_score(images.logits[: protocol.scored], protocol.score_splits).mean,
        **_compared(images.features[: protocol.pairs], real.features),
    }
    return {f"{name}/{protocol.label()}": value for name, value in found.items()}


def floor(
    data: ImageData, protocol: Protocol, inception: Inception, real: RealStatistics, cache: Path | None = None
) -> dict[str, float]:
    """Return the numbers of real images of the other split, as many as there are; kept as statistics are.

    Raises:
        InputError: the folder cannot be written.
    """

    def compute() -> dict[str, float]:
        n = min(protocol.generated, data.sizes[protocol.other])
        return scores(embedded_draw(data, protocol.other, n, inception, protocol.preprocessing), real, protocol)

    facts = {**identity(data, protocol, inception), "floor": protocol.label()}
    return _KEPT.get(cache or cache_folder("statistics"), facts, compute)


def _compared(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
    fake, real = as_two_samples(fake, real)
    enough = min(len(fake), len(real)) > SUBSET_SIZE
    subsets, size = (SUBSETS, SUBSET_SIZE) if enough else (1, None)
    # The same subsets every time: a number changes with the samples alone.
    rng = np.random.default_rng(0)
    sums = KernelSums(len(fake), len(real), fake.shape[1], subsets=subsets, size=size, rng=rng)
    balls = NeighbourBalls(fake, real, NEIGHBOURS)
    add_inner_products(fake, real, [sums, balls])
    return {"kid": sums.kid().mean, **balls.result()._asdict()}


_KEPT: Kept[dict[str, float]] = Kept(
    "the floor of a protocol",
    "json",
    lambda path: {str(name): float(value) for name, value in json.loads(path.read_text()).items()},
    lambda file, values: file.write(json.dumps(values).encode()),
)
