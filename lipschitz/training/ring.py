"""The last values of a scalar, kept on the device: written without the host's knowing, read when it looks."""

import math

import torch
from torch import Tensor


class Ring:
    """The last ``length`` values of a scalar, float32, at a fixed address, as a CUDA graph needs it.

    The place to write at is counted on the device too, so that a replayed graph goes on from where it stands.
    """

    def __init__(self, length: int, device: torch.device) -> None:
        self._values = torch.zeros(length, device=device)
        self._written = torch.zeros(1, dtype=torch.int64, device=device)

    def write(self, value: Tensor) -> None:
        """Keep ``value``, a scalar, in the place of the oldest."""
        self._values.index_copy_(0, self._written.remainder(len(self._values)), value.detach().reshape(1).float())
        self._written.add_(1)

    @property
    def last(self) -> Tensor:
        """The value that was written last, a scalar; zero before the first."""
        return self._values.index_select(0, (self._written - 1).remainder(len(self._values)))[0]

    def mean(self) -> float:
        """Return the mean of what is kept; NaN where nothing was written."""
        kept = min(int(self._written), len(self._values))
        return float(self._values.sum()) / kept if kept else math.nan

    def tensors(self) -> list[Tensor]:
        """Return what is finite where all values that are kept are."""
        return [self._values]

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of the values and of how many were written."""
        return {"values": self._values.clone(), "written": self._written.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go back to what `state_dict` returned, in place."""
        self._values.copy_(state["values"])
        self._written.copy_(state["written"])
