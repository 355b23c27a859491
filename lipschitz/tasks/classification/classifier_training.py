"""Training of a classifier: it minimises a loss of its logits, bounded by the terms' constraints."""

from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint, uncapturable_reason, with_start
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.models.base import ClassifierModel
from lipschitz.models.dropout import dropout_from
from lipschitz.random_streams import RandomStreams, seeded
from lipschitz.tasks.classification.evaluation import ClassifierEvaluator
from lipschitz.tasks.classification.examples import Examples
from lipschitz.tasks.classification.penalised import Penalised, Scalar
from lipschitz.tasks.losses import ClassifierLoss
from lipschitz.tasks.memory_format import to_memory_format
from lipschitz.tasks.one_network import OneNetworkTraining
from lipschitz.tasks.player import BoundedPlayer
from lipschitz.tasks.precision import forward_precision
from lipschitz.tasks.surfaces import spectrum_arrays
from lipschitz.tasks.terms import Terms

DROPOUT = "dropout"
AUGMENTATION = "augmentation"
"""The additional random stream of a run that augments images."""


class ClassifierTraining(OneNetworkTraining):
    """One classifier in training.

    Args:
        data: images with labels.
        terms: the run's definition.
        train_size: see `Examples`.
        validation: see `Examples`.
        scalar: what a penalty of gradients sees of the classifier.
        robustness: when robustness is measured: after the last step, at every evaluation, or never.
        attacked: number of test images that are attacked.
    """

    role = "classifier"

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
        augments = [AUGMENTATION] if terms.training.augment else []
        streams = RandomStreams(terms.seed, ("constraint", DROPOUT, *augments), terms.device)
        with seeded(terms.seed, "weights"):
            net = model.build_classifier(data.shape, data.classes)
        super().__init__(terms, BoundedPlayer(net, data.shape, terms, streams["constraint"]), streams)
        self._terms, self._loss, self._scalar, self._robustness = terms, terms.loss, scalar, robustness
        self._is_streamed = data.is_streamed
        hooks = ("penalty", "track")
        self._is_penalised = any(
            getattr(type(one), hook) is not getattr(Constraint, hook) for one in terms.constraints for hook in hooks
        )
        steps = terms.training.steps
        visited = None if steps is None else steps * terms.training.batch_size
        self._examples = Examples(data, terms.seed, train_size=train_size, validation=validation, visited=visited)
        self._evaluator = ClassifierEvaluator(self._examples, terms, attacked if robustness != "never" else 0)

    @property
    def classifier(self) -> nn.Module:
        """The classifier as constrained, ``(n, *shape)`` -> ``(n, classes)``."""
        return self._player.net

    def update(self) -> None:
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
                seen = penalised.of_logits(logits) if self._is_penalised else None
                return loss, Batch(images, None, labels, seen)

            # Around penalties, too: their forward passes drop other units, from the same stream.
            with dropout_from(self._streams[DROPOUT]):
                self._player.update_by(judge, penalised)

    def uncapturable_reason(self) -> str | None:
        """Return why a CUDA graph cannot capture a step, or None if it can."""
        if self._is_streamed:
            return "its images are streamed from the host"
        return uncapturable_reason(self._terms.constraints)

    def evaluate(self, draw: str) -> dict[str, float]:
        """Measure accuracy, loss, σ and bracket, with random numbers of the evaluation stream ``draw``."""
        self._measured = self._evaluator.evaluate(self.classifier, self._starts, draw)
        if self._robustness == "every":
            self._measure_robustness()
        return self.recorded()

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

    def facts(self) -> dict[str, Any]:
        """Return the metrics' protocols, and what the last measurement takes for granted."""
        return {**self._evaluator.facts(), "measurement": self._facts}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the spectra."""
        return spectrum_arrays(self._spectra)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on, the place in the order of images included."""
        return super().state_dict() | {"examples": self._examples.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self._examples.load_state_dict(state["examples"])
