"""Dropout that draws from a random stream of the run, so that runs are reproducible and resumed exactly."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

Rate = Annotated[float, Field(ge=0, lt=1)]
"""Share of values that dropout sets to zero."""

_STREAM: ContextVar[torch.Generator | None] = ContextVar("dropout", default=None)


@contextmanager
def dropout_from(rng: torch.Generator | None) -> Iterator[None]:
    """Let the `Dropout` modules that are called in the block draw from ``rng``, on their device."""
    token = _STREAM.set(rng)
    try:
        yield
    finally:
        _STREAM.reset(token)


class Dropout(nn.Dropout):
    """Set values to zero with probability p in training, and divide the others by 1 - p; the identity in eval mode.

    Srivastava et al. 2014, JMLR 15, with the factor in training. It draws from the stream of `dropout_from`, or else
    from torch's global generator.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, of any shape, to the same shape."""
        if not self.training or self.p == 0:
            return x
        kept = torch.rand(x.shape, generator=_STREAM.get(), device=x.device, dtype=torch.float32) >= self.p
        return x * kept / (1 - self.p)
