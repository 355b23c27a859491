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
    features: Tensor
    """Features of a random part of them, float32 ``(n_compared, 2048)``."""

    def to(self, device: torch.device) -> "RealStatistics":
        """Return the same on ``device``."""
        return RealStatistics(self.moments.to(device), self.features.to(device))


def real_statistics(
    data: ImageData, protocol: Protocol, inception: Inception, cache: Path | None = None
) -> RealStatistics:
    """Return the statistics of the reference images of ``protocol``, on the network's device.

    They are cached in ``cache`` or the user's cache folder.

    Raises:
        InputError: the cache folder cannot be written.
    """

    def compute() -> RealStatistics:
        features = embed_random_images(data, protocol.split, protocol.n_real, inception, *protocol.embedding).features
        return RealStatistics(moments(features), features[: protocol.n_compared].clone())

    found = _CACHE.get(cache or cache_folder("statistics"), cache_key(data, protocol, inception), compute)
    return found.to(inception.head.device)


def cache_key(data: ImageData, protocol: Protocol, inception: Inception) -> dict[str, Any]:
    """Return everything that the statistics depend on."""
    # Files that were cached before there was a choice keep their names.
    precision = {} if protocol.precision == "float32" else {"precision": protocol.precision}
    return precision | {
        "version": VERSION,
        "data": data.hash,
        "split": protocol.split,
        "n_real": protocol.n_real,
        "pairs": protocol.n_compared,
        "preprocessing": protocol.preprocessing,
        "network": inception.sha256,
    }


def embed_random_images(
    data: ImageData, split: SplitName, n: int, inception: Inception, *embedding: Any
) -> InceptionOutputs:
    """Return the outputs for ``n`` random images of a split, always the same, in random order.

    ``embedding`` is `Protocol.embedding`. Because of the random order, the first k are a random part of them.
    """
    order = torch.randperm(data.sizes[split], generator=stream(0, f"protocol/{split}"))[:n]
    drawn = torch.zeros(data.sizes[split], dtype=torch.bool)
    drawn[order] = True
    embedded = inception.embed(_where(drawn, data.chunks(split)), *embedding)
    # The outputs are in the order of the data; they are put in the order of the draw.
    back = order.argsort().argsort()
    return InceptionOutputs(*(rows[back.to(rows.device)] for rows in embedded))


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
        mean, factor, features = (torch.from_numpy(file[name]) for name in ("mean", "factor", "features"))
    if mean.shape != (DIMENSIONS,) or {factor.shape[1:], features.shape[1:]} != {(DIMENSIONS,)}:
        raise ValueError(f"its arrays are {tuple(mean.shape)}, {tuple(factor.shape)} and {tuple(features.shape)}")
    return RealStatistics(Moments(mean, factor), features)


def _write(file: BinaryIO, statistics: RealStatistics) -> None:
    tensors = {"features": statistics.features, **statistics.moments._asdict()}
    np.savez(file, **{name: tensor.cpu().numpy() for name, tensor in tensors.items()})


_CACHE = Cache("statistics of real images", "npz", _read, _write)
