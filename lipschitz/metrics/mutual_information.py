"""Inception Score: exp of the mutual information of samples and predicted classes, which is a mean KL divergence."""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp
from torch import Tensor

from lipschitz.metrics.sample_arrays import Floats, Samples, as_sample_tensor


class InceptionScoreValue(NamedTuple):
    """Mean and population standard deviation of the score over the parts into which the samples were split."""

    mean: float
    std: float


def inception_score(logits: Samples, splits: int = 10) -> InceptionScoreValue:
    """Return exp E KL(p(y|x) ‖ p(y)) of class ``logits`` ``(n, classes)``; log-probabilities are valid logits.

    Salimans et al. 2016, arXiv:1606.03498, section 4. The samples are split into ``splits`` consecutive parts of nearly
    equal size, and each part has its own p(y). The score lies between 1, if all predictions are equal, and the number
    of classes.

    Raises:
        ValueError: fewer samples than parts, another shape, or a number that is not finite.
    """
    samples = as_sample_tensor(logits)
    if not 1 <= splits <= len(samples):
        raise ValueError(f"{len(samples)} samples cannot be split into {splits} parts")
    parts = torch.tensor_split(samples, splits)
    scores = [_score(part.numpy()) if part.is_cpu else _score_on_device(part) for part in parts]
    return InceptionScoreValue(float(np.mean(scores)), float(np.std(scores)))


def _score(logits: Floats) -> float:
    conditional = log_softmax(logits, axis=1)
    marginal = logsumexp(conditional, axis=0) - np.log(len(logits))
    return float(np.exp(np.mean(np.sum(np.exp(conditional) * (conditional - marginal), axis=1))))


def _score_on_device(logits: Tensor) -> float:
    conditional = torch.log_softmax(logits, dim=1)
    marginal = torch.logsumexp(conditional, dim=0) - math.log(len(logits))
    return float((conditional.exp() * (conditional - marginal)).sum(dim=1).mean().exp())
