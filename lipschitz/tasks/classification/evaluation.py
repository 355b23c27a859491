"""Evaluation of a classifier: accuracy and loss on each part of the data, σ of its layers, Lipschitz bracket."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lipschitz.metrics.predictions import logits_of, scores
from lipschitz.random_streams import stream
from lipschitz.tasks.classification.certificates import certified_values, margin_values
from lipschitz.tasks.classification.examples import Examples
from lipschitz.tasks.classification.robustness_evaluation import protocols, robustness_values
from lipschitz.tasks.measurement import DiscriminatorMeasurement, measure_discriminator
from lipschitz.tasks.terms import Terms

MARGINS = {"margin_over_lipschitz": "test", "margin_over_lipschitz_train": "train"}
"""By metric, the part whose margins it describes. Bounds on generalisation take margins of training images."""


class ClassifierEvaluator:
    """Measures classifiers ``(n, *shape)`` -> ``(n, classes)`` on fixed images of each part of ``examples``."""

    def __init__(self, examples: Examples, terms: Terms, attacked: int) -> None:
        self._examples, self._terms, self._attacked = examples, terms, attacked
        sizes = {part: min(size, terms.evaluation.samples) for part, size in examples.sizes.items() if size}
        self._parts: dict[str, int] = {part: sizes[part] for part in ("test", "validation", "train") if part in sizes}

    def evaluate(self, net: nn.Module, starts: dict[str, Tensor], draw: str) -> DiscriminatorMeasurement:
        """Measure accuracy and cross-entropy, and `measure_discriminator` from test images.

        ``starts`` are those of the last measurement.
        """
        judged = {part: self._judged(net, part) for part in self._parts}
        values: dict[str, float] = {}
        for part, (logits, labels) in judged.items():
            values |= quality(logits, labels, part)
        images, _ = self._examples.fixed("test", self._terms.evaluation.gradient_samples)
        search = stream(self._terms.seed, f"evaluation/{draw}/lipschitz")
        measured = measure_discriminator(
            net, {"real": images}, starts, search, outputs=self._examples.data.classes or 1
        )
        values |= {
            "accuracy_gap": values["accuracy/train"] - values["accuracy/test"],
            "loss_gap": values["cross_entropy/test"] - values["cross_entropy/train"],
        }
        images, _ = self._examples.fixed("test", self._parts["test"])
        values |= certified_values(net, images, *judged["test"], measured.values)
        for name, part in MARGINS.items():
            values |= margin_values(name, *judged[part], measured.values)
        return measured._replace(values=values | measured.values)

    def _judged(self, net: nn.Module, part: str) -> tuple[Tensor, Tensor]:
        """Return the logits of ``net`` on images of ``part``, in float32 as it is used, and their labels."""
        images, labels = self._examples.fixed(part, self._parts[part])
        return logits_of(net, images), labels

    def robustness(self, net: nn.Module, measured: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
        """Attack and certify the first test images; see `robustness_values`."""
        images, labels = self._examples.fixed("test", self._attacked)
        return robustness_values(net, images, labels, measured, self._terms.seed)

    def facts(self) -> dict[str, Any]:
        """Return the protocol of each metric: how many images of which data; and the floor of each.

        The floor is what the frequencies of the classes among the training images reach, without looking at an image.
        """
        of_data = {"data": f"SHA-256 {self._examples.data.hash[:12]}"}
        facts = {
            f"{metric}/{part}": {"images": n, **of_data}
            for part, n in self._parts.items()
            for metric in ("accuracy", "cross_entropy")
        }
        if self._attacked:
            attacked = min(self._attacked, self._examples.sizes["test"])
            facts |= {metric: protocol | of_data for metric, protocol in protocols(attacked).items()}
        return {"floor": self._of_frequencies(), "protocols": facts}

    def _of_frequencies(self) -> dict[str, float]:
        frequencies = self._examples.class_counts.double()
        logits = (frequencies / frequencies.sum()).log()
        values: dict[str, float] = {}
        for part, n in self._parts.items():
            _, labels = self._examples.fixed(part, n)
            values |= quality(logits.expand(len(labels), -1), labels, part)
        return values


def quality(logits: Tensor, labels: Tensor, part: str) -> dict[str, float]:
    """Return accuracy and cross-entropy on the images of ``part``, by metric name."""
    found = scores(logits, labels)
    return {f"accuracy/{part}": found.accuracy, f"cross_entropy/{part}": found.loss}
