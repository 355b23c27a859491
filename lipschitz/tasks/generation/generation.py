"""Train and evaluate a GAN on points or images: the task ``generation``."""

from typing import Any

from lipschitz.datasets.base import Dataset
from lipschitz.metrics.base import Metric
from lipschitz.models.base import MODELS, Model, PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.tasks.base import TaskKind, Unsuitable
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.generation.quality import NEEDS, is_measured, metrics_of
from lipschitz.tasks.losses import LOSSES, GANLoss, Hinge, Loss
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import DEFAULT_EVALUATION, Evaluation, Terms
from lipschitz.training.task import Task


class GenerationTask(TaskKind):
    """GAN training: the constraint bounds the discriminator, and the generator's samples are judged."""

    source = "Goodfellow et al. 2014, arXiv:1406.2661, Algorithm 1"
    has_generator = True

    def build(self, data: Any, terms: Terms) -> Task:
        """Return a GAN of the terms' model, in training."""
        return GANTraining(data, terms)

    def default_model(self, shape: tuple[int, ...]) -> Model:
        """Return ``mlp`` for points, ``dcgan`` for images."""
        return MLP() if len(shape) == 1 else DCGAN()

    def default_loss(self) -> Loss:
        """Return the hinge loss."""
        return Hinge()

    def judged_by(self, dataset: Dataset, evaluation: Evaluation = DEFAULT_EVALUATION) -> tuple[str, ...]:
        """Return the metrics of samples: W1 and modes of points; of images, by the classifier and by protocols."""
        return metrics_of(dataset, evaluation)

    def check_metric(self, metric: Metric, dataset: Dataset, evaluation: Evaluation) -> None:
        """Refuse a metric that judges other samples, or does not apply to this data set."""
        if not is_measured(metric, dataset, evaluation):
            needs = f"it judges {NEEDS[metric.judges]}"
            raise Unsuitable("evaluation", f"{metric.label()} does not apply to {dataset.label()}; {needs}")

    def check(self, dataset: Dataset, model: Model, loss: Loss, setting: Setting) -> None:
        """Refuse pairs, models without a generator, losses of classifiers, and conditional models without labels."""
        if dataset.kind == "pairs":
            raise Unsuitable("datasets", f"{dataset.label()} is a pair of distributions; allowed: task: transport")
        if not isinstance(model, PairModel):
            pairs = MODELS.names_of(PairModel)
            raise Unsuitable("models", f"{model.name()} has no generator; allowed: {', '.join(['auto', *pairs])}")
        if not isinstance(loss, GANLoss):
            allowed = LOSSES.names_of(GANLoss)
            raise Unsuitable("losses", f"{loss.label()} is no loss of a GAN; allowed: {', '.join(allowed)}")
        if model.is_conditional() and dataset.classes is None:
            said = f"{model.label()} takes the class of each sample, and {dataset.label()} has no labels"
            raise Unsuitable("models", f"{said}; allowed: conditional: false, or data with labels")
