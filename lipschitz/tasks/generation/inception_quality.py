"""Quality metrics by named protocols, such as the FID, in features of the Inception network."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipschitz.datasets.base import ImageData
from lipschitz.features.inception import InceptionOutputs, load_inception
from lipschitz.features.inception_weights import weights_file
from lipschitz.features.protocols.base import Protocol
from lipschitz.features.real_statistics import real_statistics
from lipschitz.features.scores import floor, scores
from lipschitz.metrics.base import Metric
from lipschitz.tasks.generation.quality import to_bytes


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

        Each image passes through the network once for each kind of preprocessing.
        """
        parts: dict[str, list[InceptionOutputs]] = {protocol.preprocessing: [] for protocol in self._real}
        for chunk in chunks:
            for preprocessing, embedded in parts.items():
                embedded.append(self._inception.embed([to_bytes(chunk)], preprocessing))
        whole = {
            name: InceptionOutputs(*(np.concatenate(rows) for rows in zip(*embedded, strict=True)))
            for name, embedded in parts.items()
        }
        values: dict[str, float] = {}
        for protocol, real in self._real.items():
            values |= scores(whole[protocol.preprocessing], real, protocol, self._further)
        return values

    def floor(self) -> dict[str, float]:
        """Return the metrics of all protocols of real images that are not in their reference."""
        values: dict[str, float] = {}
        for protocol, real in self._real.items():
            values |= self._floor(protocol=protocol, real=real)
        return values
