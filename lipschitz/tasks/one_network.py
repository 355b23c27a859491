"""What a run that trains one bounded network keeps: its optimiser, random streams, last measurement and checkpoints."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Refusal
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.metrics.predictions import evaluated
from lipschitz.observe import NamedRings
from lipschitz.random_streams import RandomStreams
from lipschitz.tasks.measurement import DiscriminatorMeasurement, append_spectra
from lipschitz.tasks.player import BoundedPlayer, players_are_finite
from lipschitz.tasks.terms import Terms
from lipschitz.training.task import BestStepRule


class OneNetworkTraining:
    """One network in training, bounded by the terms' constraints; a subclass makes its data, its update and evaluation.

    Two runs that differ only in their constraints start from bit-identical raw parameters and see the same batches.

    Args:
        terms: of the run.
        player: the network as constrained, with its optimiser.
        streams: every generator that a step draws from.
    """

    role: ClassVar[str]
    """What the network is called in checkpoints and in ``networks.pt``."""

    def __init__(self, terms: Terms, player: BoundedPlayer, streams: RandomStreams) -> None:
        self.device = terms.device
        self.selection = BestStepRule.by(terms.selection, terms.evaluation.metrics)
        self._player, self._streams = player, streams
        self._observed = NamedRings(terms.device, {*CATALOGUE, *(one.label() for one in terms.evaluation.metrics)})
        self._starts: dict[str, Tensor] = {}
        self._spectra: dict[str, Tensor] = {}
        self._facts: dict[str, Any] = {}
        self._measured = DiscriminatorMeasurement({}, {}, {}, {})

    @abstractmethod
    def update(self) -> None:
        """Make one update of the network."""

    def step(self, progress: float | Tensor) -> None:
        """Make one update, at the learning rate after the share ``progress`` of the run."""
        self._player.decay_learning_rate(progress)
        self.update()

    def check_input_gradient(self, shape: tuple[int, ...]) -> None:
        """Check that the network, in eval mode, has a gradient by its input, a sample of ``shape``.

        Training needs none, but measurements and attacks follow it.

        Raises:
            Refusal: it has none.
        """
        sample = torch.zeros(1, *shape, device=self.device, requires_grad=True)
        with evaluated(self._player.net):
            differentiable = self._player.net(sample).requires_grad
        if not differentiable:
            raise Refusal(
                f"the {self.role} has no gradient by its input, which measurements follow; "
                "allowed: a differentiable one"
            )

    def random_streams(self) -> Sequence[torch.Generator]:
        """Return every generator that a step draws from."""
        return self._streams.generators()

    def parts(self) -> Mapping[str, Callable[[], None]]:
        """Return the one update of an iteration, by metric name."""
        return {"ms_discriminator_step": self.update}

    def is_finite(self) -> bool:
        """Return whether the last losses and all parameters and buffers are finite."""
        return players_are_finite([self._player])

    def recorded(self) -> dict[str, float]:
        """Return the values of the last measurement, the losses, and the means of observed scalars."""
        return self._measured.values | self._player.measured_losses("discriminator") | self._observed.means()

    def keep_for_next_evaluation(self) -> None:
        """Keep spectra, search starts and facts of the last evaluation."""
        self._starts = self._measured.starts
        self._spectra = append_spectra(self._spectra, self._measured.spectra)
        self._facts = self._measured.facts

    def networks(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {self.role: self._player.net}

    def state_dict(self) -> dict[str, Any]:
        """Return network, optimiser, losses, random streams, observed scalars, and what the last evaluation kept."""
        return {
            self.role: self._player.state_dict(),
            "streams": self._streams.state_dict(),
            **self._evaluation_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._player.load_state_dict(state[self.role])
        self._streams.load_state_dict(state["streams"])
        self._load_evaluation_state(state)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that an evaluation reads."""
        return {self.role: self._player.snapshot(), **self._evaluation_state()}

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Restore a snapshot; optimiser, random streams and the order of the data are unchanged."""
        self._player.load_snapshot(snapshot[self.role])
        self._load_evaluation_state(snapshot)

    def _evaluation_state(self) -> dict[str, Any]:
        return {
            "starts": self._starts,
            "spectra": self._spectra,
            "facts": self._facts,
            **self._observed.state_dict(),
        }

    def _load_evaluation_state(self, state: dict[str, Any]) -> None:
        # Checkpoints of earlier versions have no facts.
        self._starts, self._spectra, self._facts = state["starts"], state["spectra"], state.get("facts", {})
        self._observed.load_state_dict(state)
