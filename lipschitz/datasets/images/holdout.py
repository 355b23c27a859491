"""Holding images out where a publisher names no test split: by place, without a random choice."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

Share = Annotated[float, Field(gt=0, lt=1)]
"""Of the images of each class, or of all where there are no classes: between 0 and 1, exclusive."""


def held_out_mask(n: int, labels: Tensor | None, share: float) -> Tensor:
    """Return the bool mask ``(n,)`` of the images to hold out: evenly spaced, and of each class as large a share.

    The i-th of a class, from 1, is held out where the whole part of ``i share`` grows: at one half, every second.
    """
    mask = torch.zeros(n, dtype=torch.bool)
    classes = [torch.ones_like(mask)] if labels is None else [labels == k for k in set(labels.tolist())]
    for members in (which.nonzero()[:, 0] for which in classes):
        whole = (torch.arange(len(members) + 1, dtype=torch.float64) * share).floor()
        mask[members[whole.diff() > 0]] = True
    return mask
