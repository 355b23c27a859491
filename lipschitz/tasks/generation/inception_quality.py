"""Quality metrics by named protocols, such as the FID, in features of the Inception network."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lipschitz.cache import Cache, cache_folder
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.extensions.origin import origin_of
from lipschitz.features.inception import Inception, InceptionOutputs, load_inception
from lipschitz.features.inception_weights import weights_file
from lipschitz.features.protocols import Protocol
from lipschitz.features.real_statistics import RealStatistics, cache_key, embed_random_images, real_statistics
from lipschitz.metrics.base import Metric, measure_all
from lipschitz.metrics.samples import InceptionSamples, InceptionTensors
from lipschitz.tasks.generation.quality import to_bytes


def scores(
    images: InceptionOutputs, real: RealStatistics, protocol: Protocol, further: Sequence[Metric] = ()
) -> dict[str, float]:
    """Return the protocol's metrics by recorded name. Each uses as many ``images`` as the protocol says, or all.

    ``further`` are metrics that a sweep adds.
    """
    tensors = InceptionTensors(
        generated=images.features[: protocol.n_fake],
        logits=images.logits[: protocol.n_scored],
        generated_compared=images.features[: protocol.n_compared],
        real_compared=real.features,
    )
    samples = InceptionSamples(tensors, real.moments, protocol.score_splits)
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
        images = embed_random_images(data, protocol.other_split, n, inception, *protocol.embedding)
        return scores(images, real, protocol, further)

    origins = [(metric.label(), origin_of(type(metric))) for metric in protocol.measured(further)]
    metrics = {name: origin.identity() if origin else {} for name, origin in origins}
    facts = {**cache_key(data, protocol, inception), "floor": protocol.label(), "metrics": metrics}
    return _CACHE.get(cache or cache_folder("statistics"), facts, compute)


_CACHE: Cache[dict[str, float]] = Cache(
    "the floor of a protocol",
    "json",
    lambda path: {str(name): float(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()},
    lambda file, values: file.write(json.dumps(values).encode()),
)


class InceptionQuality:
    """Measures generated images of one data set by protocols.

    Args:
        data: the data set.
        protocols: one or more.
        weights: file of the network's weights; None for the file in the cache.
        device: device of the network.
        further: metrics that the sweep adds.

    Raises:
        InputError: no weights, or not the published ones; too few real images; the cache cannot be written.
    """

    def __init__(
        self,
        data: ImageData,
        protocols: Sequence[Protocol],
        weights: Path | None,
        device: torch.device,
        further: Sequence[Metric] = (),
    ) -> None:
        for protocol in protocols:
            protocol.check("data", data.sizes)
        self._inception = load_inception(weights_file(weights), device)
        self._real = {protocol: real_statistics(data, protocol, self._inception) for protocol in protocols}
        self._floor = partial(floor, data, inception=self._inception, further=further)
        self._further = further
        self._other = {protocol: data.sizes[protocol.other_split] for protocol in protocols}
        self.generated = max(protocol.n_generated for protocol in protocols)
        """Generated images that `measure` takes."""

    @property
    def protocols(self) -> dict[str, dict[str, Any]]:
        """By metric, what its value depends on besides the samples."""
        facts: dict[str, dict[str, Any]] = {}
        for protocol, other in self._other.items():
            facts |= protocol.facts(self._inception.sha256, other, self._further)
        return facts

    def measure(self, chunks: Iterable[Tensor]) -> dict[str, float]:
        """Return the metrics of all protocols of images in [-1, 1], given in chunks ``(k, c, h, w)``.

        Each image passes through the network once for each kind of preprocessing and each precision.
        """
        parts: dict[Any, list[InceptionOutputs]] = {protocol.embedding: [] for protocol in self._real}
        for chunk in chunks:
            for embedding, embedded in parts.items():
                embedded.append(self._inception.embed([to_bytes(chunk)], *embedding))
        whole = {
            embedding: InceptionOutputs(*(torch.cat(rows) for rows in zip(*embedded, strict=True)))
            for embedding, embedded in parts.items()
        }
        values: dict[str, float] = {}
        for protocol, real in self._real.items():
            values |= scores(whole[protocol.embedding], real, protocol, self._further)
        return values

    def floor(self) -> dict[str, float]:
        """Return the metrics of all protocols of real images that are not in their reference."""
        values: dict[str, float] = {}
        for protocol, real in self._real.items():
            values |= self._floor(protocol=protocol, real=real)
        return values
