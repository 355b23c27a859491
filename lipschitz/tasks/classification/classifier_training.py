"""Training of a classifier: it minimises a loss of its logits, bounded by the terms' constraints."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, uncapturable_reason, with_start
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.models.base import ClassifierModel
from lipschitz.models.dropout import dropout_from
from lipschitz.observe import NamedRings
from lipschitz.random_streams import RandomStreams, seeded
from lipschitz.tasks.classification.evaluation import ClassifierEvaluator
from lipschitz.tasks.classification.examples import Examples
from lipschitz.tasks.classification.penalised import Penalised, Scalar
from lipschitz.tasks.losses import ClassifierLoss
from lipschitz.tasks.measurement import DiscriminatorMeasurement, append_spectra
from lipschitz.tasks.memory_format import to_memory_format
from lipschitz.tasks.player import BoundedPlayer, players_are_finite
from lipschitz.tasks.precision import forward_precision
from lipschitz.tasks.surfaces import spectrum_arrays
from lipschitz.tasks.terms import Terms
from lipschitz.training.task import BestStepRule

DROPOUT = "dropout"
AUGMENTATION = "augmentation"
"""The additional random stream of a run that augments images."""


class ClassifierTraining:
    """One classifier in training, bounded by the terms' constraints.

    Two of them that differ only in their constraints start from bit-identical raw parameters and see the same batches.

    Args:
        data: images with labels.
        terms: the run's definition.
        train_size: see `Examples`.
        validation: see `Examples`.
        scalar: what a penalty of gradients sees of the classifier.
        robustness: when robustness is measured: after the last step, at every evaluation, or never.
        attacked: number of test images that are attacked.
    """

    def __init__(
        self,
        data: ImageData,
        terms: Terms,
        *,
        train_size: int | None,
        validation: float,
        scalar: Scalar,
        robustness: Literal["last", "every", "never"] = "last",
        attacked: int = 200,
    ) -> None:
        assert isinstance(terms.loss, ClassifierLoss)
        model = with_start(terms.model, terms.constraints)
        assert isinstance(model, ClassifierModel)
        assert data.classes is not None
        self.device = terms.device
        self.selection = BestStepRule.by(terms.selection, terms.evaluation.metrics)
        self._terms, self._loss, self._scalar, self._robustness = terms, terms.loss, scalar, robustness
        self._is_streamed = data.is_streamed
        steps = terms.training.steps
        visited = None if steps is None else steps * terms.training.batch_size
        self._examples = Examples(data, terms.seed, train_size=train_size, validation=validation, visited=visited)
        augments = [AUGMENTATION] if terms.training.augment else []
        self._streams = RandomStreams(terms.seed, ("constraint", DROPOUT, *augments), terms.device)
        with seeded(terms.seed, "weights"):
            net = model.build_classifier(data.shape, data.classes)
        self._player = BoundedPlayer(net, data.shape, terms, self._streams["constraint"])
        self._observed = NamedRings(terms.device, {*CATALOGUE, *(one.label() for one in terms.evaluation.metrics)})
        self._evaluator = ClassifierEvaluator(self._examples, terms, attacked if robustness != "never" else 0)
        self._starts: dict[str, Tensor] = {}
        self._spectra: dict[str, Tensor] = {}
        self._facts: dict[str, Any] = {}
        self._measured = DiscriminatorMeasurement({}, {}, {}, {})

    @property
    def classifier(self) -> nn.Module:
        """The classifier as constrained, ``(n, *shape)`` -> ``(n, classes)``."""
        return self._player.net

    def step(self, progress: float | Tensor) -> None:
        """Make one update of the classifier."""
        self._player.decay_learning_rate(progress)
        self.classifier_step()

    def classifier_step(self) -> None:
        """Make one update of the classifier on the next batch."""
        with self._observed.recording():
            images, labels = self._examples.next_batch(self._terms.training.batch_size)
            for augmentation in self._terms.training.augment:
                images = augmentation.augment(images, self._streams[AUGMENTATION])
            images = to_memory_format(images, self._terms.training.layout)

            penalised = Penalised(self.classifier, labels, self._scalar, self._loss)

            def judge() -> tuple[Tensor, Batch]:
                with forward_precision(self._terms.training.precision, self.device, self.classifier):
                    outputs = self.classifier(images)
                logits = outputs.to(images.dtype)
                loss = self._loss.of_samples(logits, labels).mean()
                return loss, Batch(images, None, labels, penalised.of_logits(logits))

            # Around penalties, too: their forward passes drop other units, from the same stream.
            with dropout_from(self._streams[DROPOUT]):
                self._player.update_by(judge, penalised)

    def random_streams(self) -> Sequence[torch.Generator]:
        """Return every generator that a step draws from."""
        return self._streams.generators()

    def uncapturable_reason(self) -> str | None:
        """Return why a CUDA graph cannot capture a step, or None if it can."""
        if self._is_streamed:
            return "its images are streamed from the host"
        return uncapturable_reason(self._terms.constraints)

    def parts(self) -> Mapping[str, Callable[[], None]]:
        """Return the one update of an iteration, by metric name."""
        return {"ms_discriminator_step": self.classifier_step}

    def is_finite(self) -> bool:
        """Return whether the last losses and all parameters and buffers are finite."""
        return players_are_finite([self._player])

    def evaluate(self, draw: str) -> dict[str, float]:
        """Measure accuracy, loss, σ and bracket, with random numbers of the evaluation stream ``draw``."""
        self._measured = self._evaluator.evaluate(self.classifier, self._starts, draw)
        if self._robustness == "every":
            self._measure_robustness()
        return self._measured.values | self._player.measured_losses("discriminator") | self._observed.means()

    def evaluate_at_end(self) -> dict[str, float]:
        """Measure robustness, if it is wanted after the last step alone."""
        return self._measure_robustness() if self._robustness == "last" else {}

    def _measure_robustness(self) -> dict[str, float]:
        values, notes = self._evaluator.robustness(self.classifier, self._measured.values)
        facts = self._measured.facts
        if notes:
            facts = facts | {"bracket_notes": [*facts.get("bracket_notes", []), *notes]}
        self._measured = self._measured._replace(values=self._measured.values | values, facts=facts)
        return values

    def keep_for_next_evaluation(self) -> None:
        """Keep spectra and search starts of the last evaluation."""
        self._starts = self._measured.starts
        self._spectra = append_spectra(self._spectra, self._measured.spectra)
        self._facts = self._measured.facts

    def facts(self) -> dict[str, Any]:
        """Return the metrics' protocols, and what the last measurement takes for granted."""
        return {**self._evaluator.facts(), "measurement": self._facts}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the spectra."""
        return spectrum_arrays(self._spectra)

    def networks(self) -> dict[str, nn.Module]:
        """Return the classifier."""
        return {"classifier": self.classifier}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on, and what the last evaluation kept."""
        return {
            "classifier": self._player.state_dict(),
            "examples": self._examples.state_dict(),
            "streams": self._streams.state_dict(),
            **self._evaluation_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._player.load_state_dict(state["classifier"])
        self._examples.load_state_dict(state["examples"])
        self._streams.load_state_dict(state["streams"])
        self._load_evaluation_state(state)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that `evaluate` reads."""
        return {"classifier": self._player.snapshot(), **self._evaluation_state()}

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Restore a snapshot; optimiser, random streams and order of images are unchanged."""
        self._player.load_snapshot(snapshot["classifier"])
        self._load_evaluation_state(snapshot)

    def _evaluation_state(self) -> dict[str, Any]:
        return {
            "starts": self._starts,
            "spectra": self._spectra,
            "facts": self._facts,
            **self._observed.state_dict(),
        }

    def _load_evaluation_state(self, state: dict[str, Any]) -> None:
        self._starts, self._spectra, self._facts = state["starts"], state["spectra"], state["facts"]
        self._observed.load_state_dict(state)
