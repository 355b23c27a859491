"""Quality of generated samples against held-out data: what can be measured of points, and of images."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lipschitz.datasets.base import Data, Dataset, ImageData, PointData
from lipschitz.features.reference_classifier import reference_classifier
from lipschitz.metrics.frechet import frechet_distance
from lipschitz.metrics.modes import high_quality_share, modes_covered
from lipschitz.metrics.wasserstein import wasserstein1

EXACT_W1_SAMPLES = 1000
"""Most samples an exact W1 is computed on: the assignment problem grows with their cube."""


class Quality(Protocol):
    """Compares generated with real samples of one data set."""

    protocols: dict[str, dict[str, Any]]
    """What each metric's number depends on besides the samples."""

    def measure(self, generated: Tensor, real: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Return each metric's value for samples ``(n, *shape)``, the same n of both.

        ``labels``, int64 ``(n,)``, are the classes of a conditional run's samples, real and generated alike.
        """


class PointQuality:
    """Exact W1, and coverage of the modes where the distribution has any."""

    def __init__(self, data: PointData, samples: int) -> None:
        self._centers, self._std = data.centers, data.std
        self._n = min(samples, EXACT_W1_SAMPLES)
        self.protocols: dict[str, dict[str, Any]] = {
            "w1": {"reference": "fresh draw of the distribution", "n_real": self._n, "n_fake": self._n}
        }
        if self._centers is not None:
            modes = {"reference": "modes of the distribution", "n_fake": samples, "radius": "3 standard deviations"}
            self.protocols |= {"modes": modes, "high_quality": modes}

    def measure(self, generated: Tensor, real: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Return ``w1`` and, for mixtures, ``modes`` and ``high_quality``."""
        points = _array(generated)
        values = {"w1": wasserstein1(points[: self._n], _array(real[: self._n]))}
        if self._centers is not None:
            centers = _array(self._centers)
            values["modes"] = float(modes_covered(points, centers, self._std))
            values["high_quality"] = high_quality_share(points, centers, self._std)
        return values


class ImageQuality:
    """Fréchet distance and exact W1 in the feature space of the data set's own classifier; never called FID."""

    def __init__(self, data: ImageData, samples: int, device: torch.device) -> None:
        self._classifier = reference_classifier(data, device)
        self._n = min(samples, EXACT_W1_SAMPLES)
        features = {
            "features": f"classifier of this data set, SHA-256 {self._classifier.sha256[:12]}",
            "accuracy": round(self._classifier.accuracy, 4),
            "reference": "held-out images",
            "quantisation": "8 bit",
        }
        self.protocols: dict[str, dict[str, Any]] = {
            "frechet_classifier": {**features, "n_real": samples, "n_fake": samples},
            "w1_classifier": {**features, "n_real": self._n, "n_fake": self._n},
        }

    def measure(self, generated: Tensor, real: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Return ``frechet_classifier`` and ``w1_classifier`` of images in [-1, 1]."""
        features: Callable[[Tensor], np.ndarray] = self._classifier.features
        a, b = features(to_bytes(generated).float() / 127.5 - 1), features(real)
        return {
            "frechet_classifier": frechet_distance(a, b),
            "w1_classifier": wasserstein1(a[: self._n], b[: self._n]),
        }


def metrics_of(dataset: Dataset) -> tuple[str, ...]:
    """Return the names of the quality metrics of ``dataset``; by the first a run's best step is chosen by default."""
    if dataset.kind == "images":
        return ("frechet_classifier", "w1_classifier")
    return ("w1", "modes", "high_quality") if dataset.has_modes else ("w1",)


def quality_of(data: Data, samples: int, device: torch.device) -> Quality:
    """Return how samples of ``data`` are judged, ``samples`` of them at a time."""
    if isinstance(data, ImageData):
        return ImageQuality(data, samples, device)
    assert isinstance(data, PointData)
    return PointQuality(data, samples)


def to_bytes(images: Tensor) -> Tensor:
    """Quantise images in [-1, 1] to uint8, as they would be saved."""
    return (images.clamp(-1, 1).add(1).mul(127.5)).round().to(torch.uint8)


def _array(points: Tensor) -> np.ndarray:
    return points.detach().cpu().double().numpy()
