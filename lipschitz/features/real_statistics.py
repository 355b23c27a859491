"""Statistics of a protocol's real images in Inception features, computed once and cached."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lipschitz.cache import Cache, cache_folder
from lipschitz.datasets.images.image_data import ImageData, SplitName
from lipschitz.features.inception import DIMENSIONS, Inception, InceptionOutputs
from lipschitz.features.protocols import Protocol
from lipschitz.metrics.frechet import Moments, moments
from lipschitz.random_streams import stream

VERSION = 1
"""Part of the cache key; increase it with every change of the numbers."""


class RealStatistics(NamedTuple):
    """Statistics of the reference images of a protocol."""

    moments: Moments
    """Mean and covariance of the features of all reference images."""
    features: np.ndarray
    """Features of a random part of them, float32 ``(n_compared, 2048)``."""


def real_statistics(
    data: ImageData, protocol: Protocol, inception: Inception, cache: Path | None = None
) -> RealStatistics:
    """Return the statistics of the reference images of ``protocol``; cached in ``cache`` or the user's cache folder.

    Raises:
        InputError: the cache folder cannot be written.
    """

    def compute() -> RealStatistics:
        features = embed_random_images(
            data, protocol.split, protocol.n_real, inception, protocol.preprocessing
        ).features
        return RealStatistics(moments(features), features[: protocol.n_compared].copy())

    return _CACHE.get(cache or cache_folder("statistics"), cache_key(data, protocol, inception), compute)


def cache_key(data: ImageData, protocol: Protocol, inception: Inception) -> dict[str, Any]:
    """Return everything that the statistics depend on."""
    return {
        "version": VERSION,
        "data": data.hash,
        "split": protocol.split,
        "n_real": protocol.n_real,
        "pairs": protocol.n_compared,
        "preprocessing": protocol.preprocessing,
        "network": inception.sha256,
    }


def embed_random_images(
    data: ImageData, split: SplitName, n: int, inception: Inception, preprocessing: str
) -> InceptionOutputs:
    """Return the outputs for ``n`` random images of a split, always the same, in random order.

    Because of the random order, the first k are a random part of them.
    """
    order = torch.randperm(data.sizes[split], generator=stream(0, f"protocol/{split}"))[:n]
    drawn = torch.zeros(data.sizes[split], dtype=torch.bool)
    drawn[order] = True
    embedded = inception.embed(_where(drawn, data.chunks(split)), preprocessing)
    # The outputs are in the order of the data; they are put in the order of the draw.
    back = order.argsort().argsort().numpy()
    return InceptionOutputs(*(rows[back] for rows in embedded))


def _where(drawn: Tensor, chunks: Iterator[Tensor]) -> Iterator[Tensor]:
    start = 0
    for chunk in chunks:
        mask = drawn[start : start + len(chunk)]
        start += len(chunk)
        if mask.any():
            yield chunk[mask.to(chunk.device)]


def _read(path: Path) -> RealStatistics:
    # Opened here, since NumPy does not close a file that turns out to be truncated.
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        statistics = RealStatistics(Moments(file["mean"], file["factor"]), file["features"])
    (mean, factor), features = statistics
    if mean.shape != (DIMENSIONS,) or {factor.shape[1:], features.shape[1:]} != {(DIMENSIONS,)}:
        raise ValueError(f"its arrays are {mean.shape}, {factor.shape} and {features.shape}")
    return statistics


def _write(file: BinaryIO, statistics: RealStatistics) -> None:
    np.savez(file, features=statistics.features, **statistics.moments._asdict())


_CACHE = Cache("statistics of real images", "npz", _read, _write)
