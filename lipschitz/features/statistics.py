"""What a protocol needs to know of real images, in the features of the Inception network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lipschitz.cache import Cache, cache_folder
from lipschitz.datasets.images.image_data import ImageData, SplitName
from lipschitz.features.inception import DIMENSIONS, Embedded, Inception
from lipschitz.features.protocols.base import Protocol
from lipschitz.metrics.frechet import Moments, moments
from lipschitz.random_streams import stream

VERSION = 1
"""Raised by every change that changes the numbers."""


class RealStatistics(NamedTuple):
    """The reference images of a protocol."""

    moments: Moments
    """Of all of them."""
    features: np.ndarray
    """Of some of them, drawn at random, float32 ``(pairs, 2048)``."""


def real_statistics(
    data: ImageData, protocol: Protocol, inception: Inception, cache: Path | None = None
) -> RealStatistics:
    """Return the statistics of the reference images of ``protocol``, kept in the folder ``cache`` (or the user's).

    Raises:
        InputError: the folder cannot be written.
    """

    def compute() -> RealStatistics:
        features = embedded_draw(data, protocol.split, protocol.n_real, inception, protocol.preprocessing).features
        return RealStatistics(moments(features), features[: protocol.pairs].copy())

    return _CACHE.get(cache or cache_folder("statistics"), identity(data, protocol, inception), compute)


def identity(data: ImageData, protocol: Protocol, inception: Inception) -> dict[str, Any]:
    """Return all that the statistics follow from."""
    return {
        "version": VERSION,
        "data": data.hash,
        "split": protocol.split,
        "n_real": protocol.n_real,
        "pairs": protocol.pairs,
        "preprocessing": protocol.preprocessing,
        "network": inception.sha256,
    }


def embedded_draw(data: ImageData, split: SplitName, n: int, inception: Inception, preprocessing: str) -> Embedded:
    """Return ``n`` images of a split, always the same, in random order: a part of them is a random part."""
    order = torch.randperm(data.sizes[split], generator=stream(0, f"protocol/{split}"))[:n]
    kept = torch.zeros(data.sizes[split], dtype=torch.bool)
    kept[order] = True
    embedded = inception.embed(_where(kept, data.chunks(split)), preprocessing)
    # What is embedded lies in the order of the data; each image goes to its place in the draw.
    back = order.argsort().argsort().numpy()
    return Embedded(*(rows[back] for rows in embedded))


def _where(kept: Tensor, chunks: Iterator[Tensor]) -> Iterator[Tensor]:
    start = 0
    for chunk in chunks:
        mask = kept[start : start + len(chunk)]
        start += len(chunk)
        if mask.any():
            yield chunk[mask.to(chunk.device)]


def _read(path: Path) -> RealStatistics:
    # Opened here, since NumPy leaves a file open that turns out to be torn.
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        statistics = RealStatistics(Moments(file["mean"], file["factor"]), file["features"])
    (mean, factor), features = statistics
    if mean.shape != (DIMENSIONS,) or {factor.shape[1:], features.shape[1:]} != {(DIMENSIONS,)}:
        raise ValueError(f"its arrays are {mean.shape}, {factor.shape} and {features.shape}")
    return statistics


def _write(file: BinaryIO, statistics: RealStatistics) -> None:
    np.savez(file, features=statistics.features, **statistics.moments._asdict())


_CACHE = Cache("statistics of real images", "npz", _read, _write)
