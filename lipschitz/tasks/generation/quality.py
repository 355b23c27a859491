"""Quality of generated samples against held-out data: what can be measured of points, and of images."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lipschitz.datasets.base import Data, Dataset, ImageData, PointData
from lipschitz.features.random_network import random_network
from lipschitz.features.stacked_classifier import image_classifier
from lipschitz.metrics.base import Judged, Metric, measure_all, protocol_facts
from lipschitz.metrics.catalogue import METRICS
from lipschitz.metrics.context import ImageContext, PointContext
from lipschitz.metrics.samples import ClassifierSamples, FeatureSamples, ImageSamples, PointSamples
from lipschitz.tasks.terms import DEFAULT_EVALUATION, Evaluation

NEEDS: dict[Judged, str] = {
    "points": "points",
    "classifier": "images with labels",
    "random_network": "images without labels, where no protocol is named",
    "inception": "images by a protocol, such as {protocols: [sngan]}",
    "images": "images",
}
"""What a metric judges, in the words of an error."""


class Quality(Protocol):
    """Compares generated with real samples of one data set."""

    protocols: dict[str, dict[str, Any]]
    """What each metric's number depends on besides the samples."""

    def measure(self, generated: Tensor, real: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Return each metric's value for samples ``(n, *shape)``, the same n of both.

        ``labels``, int64 ``(n,)``, are the classes of a conditional run's samples, real and generated alike.
        """


class PointQuality:
    """Metrics of points; ``further`` are those that a sweep adds."""

    def __init__(self, data: PointData, samples: int, further: Sequence[Metric] = ()) -> None:
        self._centers, self._std = data.centers, data.std
        context = PointContext(samples, has_modes=data.centers is not None)
        self._metrics = METRICS.judging("points", context, further)
        self.protocols = protocol_facts(self._metrics, context)

    def measure(self, generated: Tensor, real: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Return the value of each metric."""
        centers = None if self._centers is None else _array(self._centers)
        return measure_all(self._metrics, PointSamples(_array(generated), _array(real), centers, self._std))


class ImageQuality:
    """Metrics of 8-bit images, and of their features in the data set's own classifier, which are never called FID.

    Images without labels have no classifier: unless protocols judge them (``has_protocols``), their features are those
    of a network with random weights. ``further`` are metrics that a sweep adds.
    """

    def __init__(
        self,
        data: ImageData,
        samples: int,
        device: torch.device,
        *,
        conditional: bool = False,
        further: Sequence[Metric] = (),
        has_protocols: bool = False,
    ) -> None:
        has_modes = data.channel_data is not None
        context = ImageContext(samples, data.classes, conditional, has_modes=has_modes)
        self._classes = data.classes
        self._of_images = METRICS.judging("images", context, further)
        self._of_features = () if data.classes is None else METRICS.judging("classifier", context, further)
        self.protocols = protocol_facts(self._of_images, context)
        if data.classes is not None:
            self._classifier = image_classifier(data, device)
            part = "this data set" if data.channel_data is None else "each channel"
            features = {
                "features": f"classifier of {part}, SHA-256 {self._classifier.sha256[:12]}",
                "accuracy": round(self._classifier.accuracy, 4),
            }
            context = ImageContext(samples, data.classes, conditional, features, has_modes)
            self.protocols |= protocol_facts(self._of_features, context)
        self._random = None
        if data.classes is None and not has_protocols:
            self._random = random_network(data.shape, device)
            network = f"network with random weights, not trained, SHA-256 {self._random.sha256[:12]}"
            context = ImageContext(samples, None, conditional, {"features": network})
            self._of_features = METRICS.judging("random_network", context, further)
            self.protocols |= protocol_facts(self._of_features, context)

    def measure(self, generated: Tensor, real: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Return the value of each metric for images in [-1, 1]."""
        quantised, of_rows = to_bytes(generated), None if labels is None else labels.cpu().numpy()
        values: dict[str, float] = {}
        if self._classes is not None:
            features = self._classifier.features(quantised.float() / 127.5 - 1)
            predicted = self._classifier.classes(features)
            samples = ClassifierSamples(features, self._classifier.features(real), predicted, self._classes, of_rows)
            values |= measure_all(self._of_features, samples)
        if self._random is not None:
            found = (self._random.features(images) for images in (quantised.float() / 127.5 - 1, real))
            values |= measure_all(self._of_features, FeatureSamples(*found))
        if self._of_images:
            images = quantised.cpu().numpy(), to_bytes(real).cpu().numpy()
            values |= measure_all(self._of_images, ImageSamples(*images, of_rows))
        return values


def metrics_of(dataset: Dataset, evaluation: Evaluation = DEFAULT_EVALUATION) -> tuple[str, ...]:
    """Return the names of the metrics by which a run on ``dataset`` may be chosen; the first is the default."""
    return tuple(name for name, metric in _recorded(dataset, evaluation, conditional=False) if metric.better)


def is_measured(metric: Metric, dataset: Dataset, evaluation: Evaluation) -> bool:
    """Return whether any run on ``dataset``, conditional or not, measures ``metric``, a metric of the evaluation."""
    kinds = {False, dataset.classes is not None}
    return any(one == metric for kind in kinds for _, one in _recorded(dataset, evaluation, conditional=kind))


def _recorded(dataset: Dataset, evaluation: Evaluation, *, conditional: bool) -> Iterator[tuple[str, Metric]]:
    """Yield the recorded names of what runs on ``dataset`` measure, each with its metric."""
    if dataset.kind != "images":
        points = PointContext(evaluation.samples, dataset.has_modes)
        yield from _named(METRICS.judging("points", points, evaluation.metrics), points)
        return
    images = ImageContext(evaluation.samples, dataset.classes, conditional, has_modes=dataset.has_modes)
    if dataset.classes is not None:
        yield from _named(METRICS.judging("classifier", images, evaluation.metrics), images)
    for protocol in evaluation.protocols:
        for name, metric in _named(protocol.measured(evaluation.metrics), protocol.context()):
            yield protocol.recorded(name), metric
    yield from _named(METRICS.judging("images", images, evaluation.metrics), images)
    if dataset.classes is None and not evaluation.protocols:
        # Last: where a metric of the sweep judges the images, that one chooses the best step.
        yield from _named(METRICS.judging("random_network", images, evaluation.metrics), images)


def _named(metrics: Iterable[Metric], context: Any) -> Iterator[tuple[str, Metric]]:
    for metric in metrics:
        for name in metric.names(context):
            yield name, metric


def quality_of(
    data: Data,
    samples: int,
    device: torch.device,
    *,
    conditional: bool = False,
    further: Sequence[Metric] = (),
    has_protocols: bool = False,
) -> Quality:
    """Return how samples of ``data`` are judged, ``samples`` of them at a time; ``further`` metrics are added.

    ``has_protocols`` says that images are judged by protocols, too.
    """
    if isinstance(data, ImageData):
        return ImageQuality(
            data, samples, device, conditional=conditional, further=further, has_protocols=has_protocols
        )
    assert isinstance(data, PointData)
    return PointQuality(data, samples, further)


def to_bytes(images: Tensor) -> Tensor:
    """Quantise images in [-1, 1] to uint8, as they would be saved."""
    return (images.clamp(-1, 1).add(1).mul(127.5)).round().to(torch.uint8)


def _array(points: Tensor) -> np.ndarray:
    return points.detach().cpu().double().numpy()
