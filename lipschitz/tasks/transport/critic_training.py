"""Training of a critic: it maximises the Wasserstein-1 dual of two distributions whose optimal transport is known."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.constraints.base import uncapturable_reason, with_start
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.observe import NamedRings
from lipschitz.random_streams import RandomStreams, seeded
from lipschitz.tasks.measurement import DiscriminatorMeasurement, append_spectra, with_exact_constant
from lipschitz.tasks.player import Discriminator, players_are_finite
from lipschitz.tasks.surfaces import spectrum_arrays
from lipschitz.tasks.terms import Terms
from lipschitz.tasks.transport.potential import PotentialEvaluator
from lipschitz.training.task import BestStepRule


class CriticTraining:
    """One critic in training, bounded by the terms' constraints: samples of P are its real, those of Q its generated.

    Two of them that differ only in their constraints start from bit-identical raw parameters and see the same batches.
    """

    def __init__(self, data: PairData, terms: Terms) -> None:
        self.device = terms.device
        self.selection = BestStepRule.by(terms.selection, terms.evaluation.metrics)
        self._data, self._batch_size = data, terms.training.batch_size
        self._constraints, self._exact = terms.constraints, terms.evaluation.exact
        self._streams = RandomStreams(terms.seed, ("data", "constraint"), terms.device)
        with seeded(terms.seed, "weights"):
            critic = with_start(terms.model, terms.constraints).build_discriminator(data.shape)
        self._critic = Discriminator(critic, data.shape, terms, self._streams["constraint"])
        self._observed = NamedRings(terms.device, {*CATALOGUE, *(one.label() for one in terms.evaluation.metrics)})
        self._evaluator = PotentialEvaluator(
            data,
            seed=terms.seed,
            samples=terms.evaluation.samples,
            gradient_samples=terms.evaluation.gradient_samples,
            device=terms.device,
        )
        self._starts: dict[str, Tensor] = {}
        self._spectra: dict[str, Tensor] = {}
        self._facts: dict[str, Any] = {}
        self._measured = DiscriminatorMeasurement({}, {}, {}, {})

    @property
    def critic(self) -> nn.Module:
        """The critic as constrained, ``(n, d)`` -> ``(n, 1)``."""
        return self._critic.net

    def step(self, progress: float | Tensor) -> None:
        """Make one update of the critic."""
        self._critic.decay_learning_rate(progress)
        self.critic_step()

    def critic_step(self) -> None:
        """Make one update of the critic on a batch of P and an independent one of Q."""
        with self._observed.recording():
            source = self._data.source(self._batch_size, self._streams["data"])
            target = self._data.target(self._batch_size, self._streams["data"])
            self._critic.step(source, target)

    def random_streams(self) -> Sequence[torch.Generator]:
        """Return every generator that a step draws from."""
        return self._streams.generators()

    def uncapturable_reason(self) -> str | None:
        """Return why a CUDA graph cannot capture a step, or None if it can."""
        return uncapturable_reason(self._constraints)

    def parts(self) -> Mapping[str, Callable[[], None]]:
        """Return the one update of an iteration, by metric name."""
        return {"ms_discriminator_step": self.critic_step}

    def is_finite(self) -> bool:
        """Return whether the last losses and all parameters and buffers are finite."""
        return players_are_finite([self._critic])

    def evaluate(self, draw: str) -> dict[str, float]:
        """Compare the critic with the optimal potential; measure σ, bracket and losses on the stream ``draw``."""
        self._measured = self._evaluator.evaluate(self.critic, self._starts, draw)
        if self._exact == "every":
            self._measure_exactly()
        return self._measured.values | self._critic.measured_losses("discriminator") | self._observed.means()

    def evaluate_at_end(self) -> dict[str, float]:
        """Compute the critic's exact Lipschitz constant, if it is wanted after the last step alone."""
        return self._measure_exactly() if self._exact == "last" else {}

    def _measure_exactly(self) -> dict[str, float]:
        self._measured, values = with_exact_constant(self._measured, self.critic, self._data.shape)
        return values

    def keep_for_next_evaluation(self) -> None:
        """Keep spectra and search starts of the last evaluation."""
        self._starts = self._measured.starts
        self._spectra = append_spectra(self._spectra, self._measured.spectra)
        self._facts = self._measured.facts

    def facts(self) -> dict[str, Any]:
        """Return each metric of the optimal potential, the metrics' protocols, and those of the last measurement."""
        return {**self._evaluator.facts(), "measurement": self._facts}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return spectra and, in the plane, the surfaces of the critic and of the optimal potential."""
        return spectrum_arrays(self._spectra) | self._evaluator.arrays(self.critic)

    def networks(self) -> dict[str, nn.Module]:
        """Return the critic."""
        return {"critic": self.critic}

    def state_dict(self) -> dict[str, Any]:
        """Return critic, optimiser, losses, random streams, observed scalars, and what the last evaluation kept."""
        return {
            "critic": self._critic.state_dict(),
            "streams": self._streams.state_dict(),
            "starts": self._starts,
            "spectra": self._spectra,
            "facts": self._facts,
            **self._observed.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._critic.load_state_dict(state["critic"])
        self._streams.load_state_dict(state["streams"])
        self._load_evaluation_state(state)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that `evaluate` reads."""
        return {
            "critic": self._critic.snapshot(),
            "starts": self._starts,
            "spectra": self._spectra,
            "facts": self._facts,
            **self._observed.state_dict(),
        }

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Restore a snapshot; optimiser and random streams are unchanged."""
        self._critic.load_snapshot(snapshot["critic"])
        self._load_evaluation_state(snapshot)

    def _load_evaluation_state(self, state: dict[str, Any]) -> None:
        self._starts, self._spectra = state["starts"], state["spectra"]
        # Checkpoints of earlier versions have none.
        self._facts = state.get("facts", {})
        self._observed.load_state_dict(state)
