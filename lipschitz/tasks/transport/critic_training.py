"""Training of a critic on two distributions whose optimal transport is known: by the Wasserstein-1 dual, or log p/q."""

from typing import Any

import numpy as np
from torch import nn

from lipschitz.constraints.base import uncapturable_reason, with_start
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.random_streams import RandomStreams, seeded
from lipschitz.tasks.losses import GANLoss
from lipschitz.tasks.measurement import with_exact_constant
from lipschitz.tasks.one_network import OneNetworkTraining
from lipschitz.tasks.player import Discriminator
from lipschitz.tasks.surfaces import spectrum_arrays
from lipschitz.tasks.terms import Terms
from lipschitz.tasks.transport.potential import PotentialEvaluator


class CriticTraining(OneNetworkTraining):
    """One critic in training: samples of P are its real, those of Q its generated."""

    role = "critic"

    def __init__(self, data: PairData, terms: Terms) -> None:
        streams = RandomStreams(terms.seed, ("data", "constraint"), terms.device)
        with seeded(terms.seed, "weights"):
            critic = with_start(terms.model, terms.constraints).build_discriminator(data.shape)
        self._critic = Discriminator(critic, data.shape, terms, streams["constraint"])
        super().__init__(terms, self._critic, streams)
        self._data, self._batch_size = data, terms.training.batch_size
        self._constraints, self._exact = terms.constraints, terms.evaluation.exact
        self._evaluator = PotentialEvaluator(
            data,
            seed=terms.seed,
            samples=terms.evaluation.samples,
            gradient_samples=terms.evaluation.gradient_samples,
            device=terms.device,
            estimates_log_ratio=isinstance(terms.loss, GANLoss) and terms.loss.estimates_log_ratio,
        )

    @property
    def critic(self) -> nn.Module:
        """The critic as constrained, ``(n, d)`` -> ``(n, 1)``."""
        return self._critic.net

    def update(self) -> None:
        """Make one update of the critic on a batch of P and an independent one of Q."""
        with self._observed.recording():
            source = self._data.source(self._batch_size, self._streams["data"])
            target = self._data.target(self._batch_size, self._streams["data"])
            self._critic.step(source, target)

    def uncapturable_reason(self) -> str | None:
        """Return why a CUDA graph cannot capture a step, or None if it can."""
        return uncapturable_reason(self._constraints)

    def evaluate(self, draw: str) -> dict[str, float]:
        """Compare the critic with the optimal potential; measure σ, bracket and losses on the stream ``draw``."""
        self._measured = self._evaluator.evaluate(self.critic, self._starts, draw)
        if self._exact == "every":
            self._measure_exactly()
        return self.recorded()

    def evaluate_at_end(self) -> dict[str, float]:
        """Compute the critic's exact Lipschitz constant, if it is wanted after the last step alone."""
        return self._measure_exactly() if self._exact == "last" else {}

    def _measure_exactly(self) -> dict[str, float]:
        self._measured, values = with_exact_constant(self._measured, self.critic, self._data.shape)
        return values

    def facts(self) -> dict[str, Any]:
        """Return each metric of the optimal potential, the metrics' protocols, and those of the last measurement."""
        return {**self._evaluator.facts(), "measurement": self._facts}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return spectra and, in the plane, the surfaces of the critic and of the optimal potential."""
        return spectrum_arrays(self._spectra) | self._evaluator.arrays(self.critic)
