"""What the training loop asks of a task; the loop knows no task by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.metrics.base import Metric
from lipschitz.metrics.catalogue import metric_of


class BestStepRule(NamedTuple):
    """The metric by which a run's best step is chosen."""

    metric: str
    better: Literal["lower", "higher"]

    @classmethod
    def by(cls, metric: str, further: Sequence[Metric] = ()) -> "BestStepRule":
        """Return the selection by ``metric``, of the catalogue or of ``further``; by default lower is better.

        Raises:
            InputError: the metric is unknown.
        """
        return cls(metric, metric_of(metric, further).better or "lower")

    def improves(self, value: float, best: float) -> bool:
        """Return whether ``value`` is better than ``best``."""
        return value < best if self.better == "lower" else value > best


class Task(Protocol):
    """Networks, optimisers, data and random streams of one run."""

    device: torch.device
    selection: BestStepRule

    def step(self, progress: float | Tensor) -> None:
        """Make one training iteration; ``progress``, a scalar in [0, 1), is the share of the run already done.

        A CUDA graph must be able to capture it, except where `uncapturable_reason` says why not: it may depend only on
        tensors on the device, at fixed addresses.
        """

    def random_streams(self) -> Sequence[torch.Generator]:
        """Return every generator that a step draws from; a CUDA graph registers them."""

    def uncapturable_reason(self) -> str | None:
        """Return why a CUDA graph cannot capture a step, or None if it can."""

    def parts(self) -> Mapping[str, Callable[[], None]]:
        """Return the parts of an iteration that are timed, by metric name (``ms_discriminator_step``, ...)."""

    def is_finite(self) -> bool:
        """Return whether the last losses and all parameters are finite."""

    def evaluate(self, draw: str) -> dict[str, float]:
        """Measure the networks with random numbers of the stream called ``draw``; the training state is unchanged."""

    def evaluate_at_end(self) -> dict[str, float]:
        """Measure what is measured after the last step only; called after `evaluate`, of the same networks."""
        return {}

    def keep_for_next_evaluation(self) -> None:
        """Keep what the next evaluation needs of the last one; called after each scheduled evaluation."""

    def facts(self) -> dict[str, Any]:
        """Return the ``floor`` of each metric (real against real data), its ``protocols``, and other facts.

        ``measurement`` holds what the last kept evaluation takes for granted, see
        `lipschitz.tasks.measurement.DiscriminatorMeasurement`.
        """

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what the report draws: samples, surfaces, spectra."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on: tensors, numbers, strings and containers of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, in place."""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that `evaluate` reads."""

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the networks by name; their weights are kept in ``networks.pt`` when the run ends."""
        return {}

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Restore what `evaluate` read at the time of the snapshot; optimisers and random streams are unchanged."""
