"""Transport: a critic maximises the Wasserstein-1 dual of two distributions whose optimal transport is known."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.constraints.base import why_uncaptured
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.random_streams import seeded, stream
from lipschitz.tasks.measurement import Measured, with_row
from lipschitz.tasks.player import Discriminator, are_finite
from lipschitz.tasks.surfaces import spectrum_arrays
from lipschitz.tasks.terms import Terms
from lipschitz.tasks.transport.potential import PotentialEvaluator
from lipschitz.training.task import Selection


class Transport:
    """One critic, bounded by the terms' constraints: P is what it calls real, Q what it calls generated.

    Two of them that differ in their constraints alone start from bit-identical raw parameters and see the same batches.
    """

    def __init__(self, data: PairData, terms: Terms) -> None:
        self.device = terms.device
        self.selection = Selection(terms.selection, CATALOGUE[terms.selection].better or "lower")
        self._data, self._batch_size = data, terms.training.batch_size
        self._constraints = terms.constraints
        self._streams = {name: stream(terms.seed, name, terms.device) for name in ("data", "constraint")}
        with seeded(terms.seed, "weights"):
            critic = terms.model.build_discriminator(data.shape)
        self._critic = Discriminator(critic, data.shape, terms, self._streams["constraint"])
        self._evaluator = PotentialEvaluator(
            data,
            seed=terms.seed,
            samples=terms.evaluation.samples,
            gradient_samples=terms.evaluation.gradient_samples,
            device=terms.device,
        )
        self._starts: dict[str, Tensor] = {}
        self._spectra: dict[str, Tensor] = {}
        self._measured = Measured({}, {}, {})

    @property
    def critic(self) -> nn.Module:
        """The critic as constrained, ``(n, d)`` -> ``(n, 1)``."""
        return self._critic.net

    def step(self, progress: float | Tensor) -> None:
        """Make one update of the critic."""
        self._critic.decay(progress)
        self.critic_step()

    def critic_step(self) -> None:
        """Make one update of the critic on a batch of P and an independent one of Q."""
        source = self._data.source(self._batch_size, self._streams["data"])
        target = self._data.target(self._batch_size, self._streams["data"])
        self._critic.step(source, target)

    def random_streams(self) -> Sequence[torch.Generator]:
        """Return the generators of all that a step draws."""
        return list(self._streams.values())

    def why_uncaptured(self) -> str | None:
        """Return why no CUDA graph can hold a step, or None where one may."""
        return why_uncaptured(self._constraints)

    def parts(self) -> Mapping[str, Callable[[], None]]:
        """Return the one update that an iteration is made of."""
        return {"ms_discriminator_step": self.critic_step}

    def is_finite(self) -> bool:
        """Say whether the last loss, every parameter and all that a method keeps are finite."""
        return are_finite([self._critic])

    def evaluate(self, draw: str) -> dict[str, float]:
        """Measure the critic against the optimal potential, σ and bracket, on the evaluation stream of ``draw``."""
        self._measured = self._evaluator.evaluate(self.critic, self._starts, draw)
        return self._measured.values | self._critic.measured_losses("discriminator")

    def end_interval(self) -> None:
        """Keep for the next evaluation what the last one left."""
        self._starts = self._measured.starts
        self._spectra = with_row(self._spectra, self._measured.spectra)

    def facts(self) -> dict[str, Any]:
        """Return what each metric says of the optimal potential, and the metrics' protocols."""
        return self._evaluator.facts()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return spectra and, in the plane, the surfaces of the critic and of the optimal potential."""
        return spectrum_arrays(self._spectra) | self._evaluator.arrays(self.critic)

    def state_dict(self) -> dict[str, Any]:
        """Return the critic with its optimiser and last loss, random streams, and what evaluations left."""
        return {
            "critic": self._critic.state_dict(),
            "streams": {name: rng.get_state() for name, rng in self._streams.items()},
            "starts": self._starts,
            "spectra": self._spectra,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` returned."""
        self._critic.load_state_dict(state["critic"])
        for name, rng in self._streams.items():
            rng.set_state(state["streams"][name])
        self._starts, self._spectra = state["starts"], state["spectra"]

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all that `evaluate` looks at: the critic, its last loss, what earlier evaluations left."""
        return {"critic": self._critic.snapshot(), "starts": self._starts, "spectra": self._spectra}

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Put back what a snapshot holds; optimiser and streams stay."""
        self._critic.load_snapshot(snapshot["critic"])
        self._starts, self._spectra = snapshot["starts"], snapshot["spectra"]
