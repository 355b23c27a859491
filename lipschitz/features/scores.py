"""FID, KID, Inception Score, precision, recall, density and coverage by a protocol, from Inception outputs."""

import json
from collections.abc import Sequence
from pathlib import Path

from lipschitz.cache import Cache, cache_folder
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.extensions.origin import origin_of
from lipschitz.features.inception import Inception, InceptionOutputs
from lipschitz.features.protocols.base import Protocol
from lipschitz.features.real_statistics import RealStatistics, cache_key, embed_random_images
from lipschitz.metrics.base import Metric, measure_all
from lipschitz.metrics.samples import InceptionSamples


def scores(
    images: InceptionOutputs, real: RealStatistics, protocol: Protocol, further: Sequence[Metric] = ()
) -> dict[str, float]:
    """Return the protocol's metrics by recorded name. Each uses as many ``images`` as the protocol says, or all.

    ``further`` are metrics that a sweep adds.
    """
    samples = InceptionSamples(
        generated=images.features[: protocol.n_fake],
        logits=images.logits[: protocol.n_scored],
        score_splits=protocol.score_splits,
        real_moments=real.moments,
        generated_compared=images.features[: protocol.n_compared],
        real_compared=real.features,
    )
    found = measure_all(protocol.measured(further), samples)
    return {protocol.recorded(name): value for name, value in found.items()}


def floor(
    data: ImageData,
    protocol: Protocol,
    inception: Inception,
    real: RealStatistics,
    cache: Path | None = None,
    further: Sequence[Metric] = (),
) -> dict[str, float]:
    """Return the protocol's metrics for real images of the other split, or as many of them as there are; cached.

    Raises:
        InputError: the cache folder cannot be written.
    """

    def compute() -> dict[str, float]:
        n = min(protocol.n_generated, data.sizes[protocol.other_split])
        images = embed_random_images(data, protocol.other_split, n, inception, protocol.preprocessing)
        return scores(images, real, protocol, further)

    origins = [(metric.label(), origin_of(type(metric))) for metric in protocol.measured(further)]
    metrics = {name: origin.identity() if origin else {} for name, origin in origins}
    facts = {**cache_key(data, protocol, inception), "floor": protocol.label(), "metrics": metrics}
    return _CACHE.get(cache or cache_folder("statistics"), facts, compute)


_CACHE: Cache[dict[str, float]] = Cache(
    "the floor of a protocol",
    "json",
    lambda path: {str(name): float(value) for name, value in json.loads(path.read_text()).items()},
    lambda file, values: file.write(json.dumps(values).encode()),
)
