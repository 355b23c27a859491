"""FID, KID, Inception Score, precision, recall, density and coverage by a protocol, from Inception outputs."""

import json
from pathlib import Path

import numpy as np

from lipschitz.cache import cache_folder
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.features.inception import Inception, InceptionOutputs
from lipschitz.features.kept import Kept
from lipschitz.features.protocols.base import NEIGHBOURS, SUBSET_SIZE, SUBSETS, Protocol
from lipschitz.features.real_statistics import RealStatistics, cache_key, embed_random_images
from lipschitz.metrics.frechet import frechet_of_moments, moments
from lipschitz.metrics.inner_products import add_inner_products
from lipschitz.metrics.mmd import KernelSums
from lipschitz.metrics.mutual_information import inception_score
from lipschitz.metrics.precision_recall import NeighbourBalls
from lipschitz.metrics.sample_arrays import as_two_samples


def scores(images: InceptionOutputs, real: RealStatistics, protocol: Protocol) -> dict[str, float]:
    """Return the protocol's metrics by recorded name. Each uses as many ``images`` as the protocol says, or all."""
    found = {
        "fid": frechet_of_moments(moments(images.features[: protocol.n_fake]), real.moments),
        "inception_score": inception_score(images.logits[: protocol.n_scored], protocol.score_splits).mean,
        **_kid_and_neighbours(images.features[: protocol.n_compared], real.features),
    }
    return {f"{name}/{protocol.label()}": value for name, value in found.items()}


def floor(
    data: ImageData, protocol: Protocol, inception: Inception, real: RealStatistics, cache: Path | None = None
) -> dict[str, float]:
    """Return the protocol's metrics for real images of the other split, or as many of them as there are; cached.

    Raises:
        InputError: the cache folder cannot be written.
    """

    def compute() -> dict[str, float]:
        n = min(protocol.n_generated, data.sizes[protocol.other_split])
        return scores(
            embed_random_images(data, protocol.other_split, n, inception, protocol.preprocessing), real, protocol
        )

    facts = {**cache_key(data, protocol, inception), "floor": protocol.label()}
    return _KEPT.get(cache or cache_folder("statistics"), facts, compute)


def _kid_and_neighbours(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
    fake, real = as_two_samples(fake, real)
    enough = min(len(fake), len(real)) > SUBSET_SIZE
    subsets, size = (SUBSETS, SUBSET_SIZE) if enough else (1, None)
    # The subsets are the same at every call, so the KID changes only with the samples.
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
