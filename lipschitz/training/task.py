"""What the loop asks of a task; the loop knows no task by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor


class Selection(NamedTuple):
    """The metric by which a run's best step is chosen."""

    metric: str
    better: Literal["lower", "higher"]

    def improves(self, value: float, best: float) -> bool:
        """Say whether ``value`` is better than ``best``."""
        return value < best if self.better == "lower" else value > best


class Task(Protocol):
    """One run's networks, optimisers, data and random streams."""

    device: torch.device
    selection: Selection

    def step(self, progress: float | Tensor) -> None:
        """Make one training iteration; ``progress`` in [0, 1), a scalar, is the share of the run already done.

        A function of what lies on the device, at fixed addresses, so that a CUDA graph can hold it; but for what
        `why_uncaptured` says.
        """

    def random_streams(self) -> Sequence[torch.Generator]:
        """Return the generators of all that a step draws, which a graph must know."""

    def why_uncaptured(self) -> str | None:
        """Return why no CUDA graph can hold a step, or None where one may."""

    def parts(self) -> Mapping[str, Callable[[], None]]:
        """Return what an iteration is made of, by metric name (``ms_discriminator_step``, ...), to be timed."""

    def is_finite(self) -> bool:
        """Say whether the last losses and all parameters are finite."""

    def evaluate(self, draw: str) -> dict[str, float]:
        """Measure the networks as they are, on the draw of that name; the training state stays as it was."""

    def end_interval(self) -> None:
        """Keep what the next evaluation compares with the present one; called after each scheduled evaluation."""

    def facts(self) -> dict[str, Any]:
        """Return what qualifies the numbers: the floor (real against real) and each metric's protocol."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what the report draws: samples, surfaces, spectra."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on: tensors, numbers, strings and containers of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state, in place."""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all that `evaluate` looks at."""

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Put back what a snapshot holds, so that `evaluate` sees that moment; optimisers and streams stay."""
