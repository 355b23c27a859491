"""Classify stacked images channel by channel: a thousand classes are told apart by a classifier of ten."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lipschitz.datasets.images.image_data import ImageData, to_floats
from lipschitz.features.reference_classifier import BATCH, FeatureExtractor, reference_classifier


class StackedExtractor:
    """The reference classifier of single channels, applied to each channel.

    Args:
        of_channel: classifier of images ``(n, 1, h, w)``.
        classes: number of its classes.
        data: the stacked images, whose held-out ones give the accuracy.
    """

    def __init__(self, of_channel: FeatureExtractor, classes: int, data: ImageData) -> None:
        self._of_channel, self._classes, self._depth = of_channel, classes, data.shape[0]
        self.sha256 = of_channel.sha256
        guesses = np.concatenate(
            [self.classes(self.features(to_floats(part))) for part in data.chunks("held_out", BATCH)]
        )
        assert data.held_out.labels is not None
        self.accuracy = float((guesses == data.held_out.labels.cpu().numpy()).mean())

    def features(self, images: Tensor) -> np.ndarray:
        """Map float images ``(n, c, h, w)`` in [-1, 1] to the features of their channels, float64 ``(n, 64 c)``."""
        return np.concatenate([self._of_channel.features(one) for one in torch.split(images, 1, dim=1)], axis=1)

    def classes(self, features: np.ndarray) -> np.ndarray:
        """Return the predicted class, int64 ``(n,)``, of images with ``features`` ``(n, 64 c)``."""
        width = features.shape[1] // self._depth
        channels = (features[:, place * width : (place + 1) * width] for place in range(self._depth))
        digits = [self._of_channel.classes(np.ascontiguousarray(one)) for one in channels]
        found: np.ndarray = np.sum([digit * self._classes**place for place, digit in enumerate(digits)], axis=0)
        return found


def image_classifier(
    data: ImageData, device: torch.device, cache: Path | None = None
) -> FeatureExtractor | StackedExtractor:
    """Return the reference classifier of ``data``; of stacked images that of their channels.

    Raises:
        InputError: the cache folder cannot be written.
    """
    if data.channel_data is None:
        return reference_classifier(data, device, cache)
    assert data.channel_data.classes is not None
    of_channel = reference_classifier(data.channel_data, device, cache)
    return StackedExtractor(of_channel, data.channel_data.classes, data)
