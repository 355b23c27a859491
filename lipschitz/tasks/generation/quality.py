"""Quality of generated samples against held-out data: what can be measured of points, and of images."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lipschitz.datasets.base import Data, Dataset, ImageData, PointData
from lipschitz.features.protocols.base import Protocol as InceptionProtocol
from lipschitz.features.reference_classifier import reference_classifier
from lipschitz.metrics.frechet import frechet_distance
from lipschitz.metrics.mmd import kid
from lipschitz.metrics.mode_coverage import high_quality_share, modes_covered
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
    """Distances in the feature space of the data set's own classifier; never called FID.

    In a conditional run also what samples of each class are like. Images without labels have no classifier, and no
    metric here.
    """

    def __init__(self, data: ImageData, samples: int, device: torch.device, *, conditional: bool = False) -> None:
        self._n = min(samples, EXACT_W1_SAMPLES)
        self.protocols: dict[str, dict[str, Any]] = {}
        self._classes = data.classes
        if data.classes is None:
            return
        self._classifier = reference_classifier(data, device)
        features = {
            "features": f"classifier of this data set, SHA-256 {self._classifier.sha256[:12]}",
            "accuracy": round(self._classifier.accuracy, 4),
            "reference": "held-out images",
            "quantisation": "8 bit",
        }
        all_of_them = {**features, "n_real": samples, "n_fake": samples}
        self.protocols = {
            "frechet_classifier": all_of_them,
            "w1_classifier": {**features, "n_real": self._n, "n_fake": self._n},
            "kid_classifier": {**all_of_them, "subsets": 1},
        }
        if conditional:
            per_class = round(samples / data.classes, 1)
            self.protocols["intra_frechet_classifier"] = {**all_of_them, "per_class": per_class}
            shares = {name: value for name, value in all_of_them.items() if name not in ("reference", "n_real")}
            self.protocols |= {f"class_share/{label}": shares for label in range(data.classes)}

    def measure(self, generated: Tensor, real: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Return ``frechet_classifier``, ``w1_classifier`` and ``kid_classifier`` of images in [-1, 1].

        With labels also ``intra_frechet_classifier``, over the classes with two samples or more, and for each class
        ``class_share/<label>``.
        """
        if self._classes is None:
            return {}
        features: Callable[[Tensor], np.ndarray] = self._classifier.features
        a, b = features(to_bytes(generated).float() / 127.5 - 1), features(real)
        values = {
            "frechet_classifier": frechet_distance(a, b),
            "w1_classifier": wasserstein1(a[: self._n], b[: self._n]),
            "kid_classifier": kid(a, b).mean,
        }
        if labels is not None:
            values |= self._by_class(a, b, labels.cpu().numpy(), self._classes)
        return values

    def _by_class(self, a: np.ndarray, b: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, float]:
        taken_for = self._classifier.classes(a)
        counts = np.bincount(labels, minlength=classes)
        distances = [frechet_distance(a[labels == k], b[labels == k]) for k in np.flatnonzero(counts > 1)]
        values = {"intra_frechet_classifier": float(np.mean(distances)) if distances else float("nan")}
        return values | {f"class_share/{k}": float(np.mean(taken_for == k)) for k in range(classes)}


def metrics_of(dataset: Dataset, protocols: Sequence[InceptionProtocol] = ()) -> tuple[str, ...]:
    """Return the names of the metrics by which a run on ``dataset`` may be chosen; the first is the default.

    There are none for images without labels, unless a protocol says how they are judged.
    """
    if dataset.kind == "images":
        of_classifier = () if dataset.classes is None else ("frechet_classifier", "w1_classifier", "kid_classifier")
        return (*of_classifier, *(name for protocol in protocols for name in protocol.metrics))
    return ("w1", "modes", "high_quality") if dataset.has_modes else ("w1",)


def quality_of(data: Data, samples: int, device: torch.device, *, conditional: bool = False) -> Quality:
    """Return how samples of ``data`` are judged, ``samples`` of them at a time."""
    if isinstance(data, ImageData):
        return ImageQuality(data, samples, device, conditional=conditional)
    assert isinstance(data, PointData)
    return PointQuality(data, samples)


def to_bytes(images: Tensor) -> Tensor:
    """Quantise images in [-1, 1] to uint8, as they would be saved."""
    return (images.clamp(-1, 1).add(1).mul(127.5)).round().to(torch.uint8)


def _array(points: Tensor) -> np.ndarray:
    return points.detach().cpu().double().numpy()
