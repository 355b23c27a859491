"""Train a classifier of images under a Lipschitz constraint: the task ``classification``."""

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from lipschitz.config import Samples
from lipschitz.datasets.base import Dataset
from lipschitz.errors import InputError
from lipschitz.models.base import MODELS, ClassifierModel, Model
from lipschitz.models.mlp_classifier import MLPClassifier
from lipschitz.tasks.base import TaskKind, Unsuitable
from lipschitz.tasks.classification.classifier_training import ClassifierTraining
from lipschitz.tasks.classification.examples import Examples, check_train_size, without_validation
from lipschitz.tasks.classification.penalised import Scalar
from lipschitz.tasks.losses import LOSSES, ClassifierLoss, CrossEntropy, Loss
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import DEFAULT_EVALUATION, Evaluation, Terms
from lipschitz.training.task import Task


class ClassificationTask(TaskKind):
    """A classifier of labelled images; a constraint bounds the map from an image to all logits."""

    source = "Yoshida and Miyato 2017, arXiv:1705.10941; Gouk et al. 2021, arXiv:1804.04368"
    has_generator = False

    train_size: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Number of training images, drawn by the seed with about the share of each class; null for all."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the training images that is held out to choose by: a run's best step, and settings. The test images
    choose nothing. With 0 the best step is the one of smallest ``cross_entropy/train``: the cross-entropy of the logits
    at temperature 1 on training images, in eval mode and without augmentation, whatever loss is trained."""
    gradient_of: Scalar = "loss"
    """What a penalty of gradients sees of the classifier: the loss of each image, the logit of its class, or the margin
    between that and the largest other one."""

    robustness: Literal["last", "every", "never"] = "last"
    """When attacks, certificates by pairs of classes, sensitivity and spectral complexity are measured. last: after the
    last step. every: at every evaluation."""
    attacked: Samples = 200
    """Test images that are attacked and certified by pairs."""

    def build(self, data: Any, terms: Terms) -> Task:
        """Return a classifier of the terms' model, in training."""
        return ClassifierTraining(
            data,
            terms,
            train_size=self.train_size,
            validation=self.validation,
            scalar=self.gradient_of,
            robustness=self.robustness,
            attacked=self.attacked,
        )

    def network(self, model: Model, dataset: Dataset) -> nn.Module:
        """Return a new classifier of ``model``."""
        assert isinstance(model, ClassifierModel)
        assert dataset.classes is not None
        return model.build_classifier(dataset.shape, dataset.classes)

    def images_of_epoch(self, dataset: Dataset) -> int | None:
        """Return ``train_size``, or the data set's number of training images without those for validation."""
        if self.train_size is not None or dataset.training_images is None:
            return self.train_size
        return without_validation(dataset.training_images, self.validation)

    def on_few_images(self) -> TaskKind:
        """Return the task without ``train_size``."""
        return self.model_copy(update={"train_size": None})

    def check_data(self, data: Any, seed: int) -> None:
        """Refuse data with fewer images than ``train_size``, without validation images, or a class without any."""
        examples = Examples(data, seed, train_size=self.train_size, validation=self.validation)
        if self.validation and not examples.sizes["validation"]:
            raise InputError(
                f"validation {self.validation:g}: of {data.sizes['train']} training images that is none; allowed: a "
                "larger share, or validation: 0"
            )
        examples.check_classes()

    def default_model(self, shape: tuple[int, ...]) -> Model:
        """Return ``mlp_classifier``."""
        return MLPClassifier()

    def default_loss(self) -> Loss:
        """Return the cross-entropy."""
        return CrossEntropy()

    def judged_by(self, dataset: Dataset, evaluation: Evaluation = DEFAULT_EVALUATION) -> tuple[str, ...]:
        """Return the metrics that may choose: those of the validation images, or else of the training images."""
        part = "validation" if self.validation else "train"
        names = (f"accuracy/{part}", f"cross_entropy/{part}")
        return names if self.validation else names[::-1]

    def check(self, dataset: Dataset, model: Model, loss: Loss, setting: Setting) -> None:
        """Refuse images without labels, networks that are no classifiers, losses of GANs, and several updates."""
        if dataset.kind != "images" or dataset.classes is None:
            labelled = "labelled images (npz and folder: with num_classes)"
            raise Unsuitable("datasets", f"{dataset.label()} has no labels; allowed: {labelled}")
        if dataset.classes < 2:
            raise Unsuitable("datasets", f"{dataset.label()} has {dataset.classes} class; allowed: two classes or more")
        if dataset.training_images is not None:
            try:
                check_train_size(self.train_size, without_validation(dataset.training_images, self.validation))
            except InputError as error:
                raise Unsuitable("datasets", f"{dataset.label()}: {error}") from None
        if not isinstance(model, ClassifierModel):
            allowed = MODELS.names_of(ClassifierModel)
            raise Unsuitable("models", f"{model.name()} is no classifier; allowed: {', '.join(['auto', *allowed])}")
        if not isinstance(loss, ClassifierLoss):
            allowed = LOSSES.names_of(ClassifierLoss)
            raise Unsuitable("losses", f"{loss.label()} is no loss of a classifier; allowed: {', '.join(allowed)}")
        if setting.n_dis != 1 or setting.n_dis_start is not None:
            raise Unsuitable("settings", "classification has no generator; allowed: n_dis: 1 and no n_dis_start")
