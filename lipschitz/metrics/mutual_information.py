"""Inception Score: exp of the mutual information of samples and predicted classes, which is a mean KL divergence."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, logsumexp

from lipschitz.metrics.sample_arrays import as_samples


class InceptionScoreValue(NamedTuple):
    """Mean and population standard deviation of the score over the parts into which the samples were split."""

    mean: float
    std: float


def inception_score(logits: ArrayLike, splits: int = 10) -> InceptionScoreValue:
    """Return exp E KL(p(y|x) ‖ p(y)) of class ``logits`` ``(n, classes)``; log-probabilities are valid logits.

    Salimans et al. 2016, arXiv:1606.03498, section 4. The samples are split into ``splits`` consecutive parts of nearly
    equal size, and each part has its own p(y). The score lies between 1, if all predictions are equal, and the number
    of classes.

    Raises:
        ValueError: fewer samples than parts, another shape, or a number that is not finite.
    """
    logits = as_samples(logits)
    if not 1 <= splits <= len(logits):
        raise ValueError(f"{len(logits)} samples cannot be split into {splits} parts")
    scores = [_score(part) for part in np.array_split(logits, splits)]
    return InceptionScoreValue(float(np.mean(scores)), float(np.std(scores)))


def _score(logits: np.ndarray) -> float:
    conditional = log_softmax(logits, axis=1)
    marginal = logsumexp(conditional, axis=0) - np.log(len(logits))
    return float(np.exp(np.mean(np.sum(np.exp(conditional) * (conditional - marginal), axis=1))))
