"""Margins of a classifier: the logit of the true class less the largest other, as it is and over a constant."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lipschitz.metrics.predictions import check_labels

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles by which a distribution of margins is recorded."""


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return z_y - max over j != y of z_j for ``logits`` z ``(n, classes)`` and int64 ``labels`` y: float64 ``(n,)``.

    Bartlett et al. 2017, arXiv:1706.08498, Sec. 1. A sample is misclassified where it is negative.

    Raises:
        ValueError: the shapes or labels do not fit.
    """
    check_labels(logits, labels)
    wide = logits.double()
    own = wide.gather(1, labels[:, None])
    others = wide.scatter(1, labels[:, None], -math.inf)
    return own[:, 0] - others.amax(dim=1)


def margin_quantiles(values: Tensor, constant: float = 1.0, quantiles: Sequence[float] = QUANTILES) -> list[float]:
    """Return ``quantiles`` of the margins ``(n,)`` divided by ``constant``, such as a Lipschitz constant.

    Interpolated linearly. NaN for a constant of zero, by which nothing can be divided; all are zero for an infinite
    one.

    Raises:
        ValueError: the constant is negative or NaN.
    """
    if not constant >= 0:
        raise ValueError(f"margins over a constant of {constant}; expected a number that is at least 0")
    if constant == 0:
        return [math.nan] * len(quantiles)
    points = torch.tensor(quantiles, dtype=torch.float64, device=values.device)
    # By sorting: torch.quantile refuses more than 16 million values.
    ordered = (values.double() / constant).sort().values
    position = points * (len(ordered) - 1)
    below, above = ordered[position.floor().long()], ordered[position.ceil().long()]
    return [float(value) for value in torch.lerp(below, above, position - position.floor())]
