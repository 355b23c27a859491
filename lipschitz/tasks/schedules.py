"""Learning rate schedules as functions of the share of the run that is done: linear, step, cosine, one-cycle.

A factor of the learning rate depends on the share alone, so that a CUDA graph can capture it and a resumed run goes on
exactly. torch's schedulers count steps on the host.
"""

import math
from typing import Literal

import torch
from torch import Tensor

Decay = Literal["none", "linear", "step", "cosine", "one_cycle"]

WARM_UP, START, END = 0.3, 25.0, 25e4
"""one_cycle: share of the run in which the rate rises, and the largest rate over the first and over the last one."""
ROUNDING = 1e-9
"""A share this close to a milestone has reached it: shares such as 3/7 are rounded."""


def factor_at(
    decay: Decay, progress: float | Tensor, *, milestones: tuple[float, ...], every: float | None, factor: float
) -> float | Tensor:
    """Return what the learning rate is multiplied by after the share ``progress`` in [0, 1] of the run, a scalar.

    linear: 1 - p. step: ``factor`` to the power of the number of ``milestones`` reached, or of the whole times that
    ``every`` goes into p. cosine: (1 + cos πp) / 2 (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5, one period).
    one_cycle: from 1/25 to 1 in the first 30 % and then to 1/250,000, by half a cosine each (Smith and Topin 2019,
    arXiv:1708.07120, with the defaults of torch's OneCycleLR; momentum stays constant).

    The result is on the device of ``progress`` where that is a tensor.
    """
    if decay == "none":
        return 1.0
    if decay == "linear":
        return 1 - progress
    p = torch.as_tensor(progress, dtype=torch.float64)
    if decay == "cosine":
        return (1 + torch.cos(math.pi * p)) / 2
    if decay == "one_cycle":
        rising = _between(1 / START, 1.0, p / WARM_UP)
        falling = _between(1.0, 1 / END, (p - WARM_UP) / (1 - WARM_UP))
        return torch.where(p < WARM_UP, rising, falling)
    reached = torch.zeros_like(p) if every is None else torch.floor(p / every + ROUNDING)
    for milestone in milestones:
        reached = reached + (p + ROUNDING >= milestone)
    return torch.pow(factor, reached)


def _between(first: float, last: float, share: Tensor) -> Tensor:
    """Return the value on half a cosine from ``first`` to ``last``."""
    return last + (first - last) * (1 + torch.cos(math.pi * share)) / 2
