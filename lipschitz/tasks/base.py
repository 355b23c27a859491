"""The base class of tasks: how a run is built, which configurations are refused, which metrics judge it."""

from abc import abstractmethod
from typing import Any, ClassVar

from torch import nn

from lipschitz.config import Config
from lipschitz.datasets.base import Dataset
from lipschitz.errors import InputError
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.metrics.base import Metric
from lipschitz.models.base import Model
from lipschitz.tasks.losses import Loss
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import DEFAULT_EVALUATION, Evaluation, Terms
from lipschitz.training.task import Task


class Unsuitable(ValueError):
    """A configuration that a task does not support: one line, and the axis of the sweep file at fault."""

    def __init__(self, axis: str, message: str) -> None:
        super().__init__(message)
        self.axis = axis


class TaskKind(Config):
    """A task that a sweep file can name. A subclass is ``<task>/<task>.py`` in this package, or in a file of yours.

    The words of the report about the task are in ``wording.py`` of that folder, which must not import torch.
    """

    has_generator: ClassVar[bool]
    """Whether a generator is trained against the discriminator."""

    @classmethod
    def check_class(cls) -> None:
        """Check that a class from outside the package says whether it trains a generator.

        Raises:
            InputError: it does not.
        """
        found = getattr(cls, "has_generator", None)
        if not isinstance(found, bool):
            raise InputError(f"{cls.__name__}: expected has_generator to be True or False, got {found!r}")

    @abstractmethod
    def build(self, data: Any, terms: Terms) -> Task:
        """Return a run in training: its networks, optimisers and random streams, on loaded ``data``."""

    def network(self, model: Model, dataset: Dataset) -> nn.Module:
        """Return a new network of ``model`` that the constraints bound, on samples of ``dataset``."""
        return model.build_discriminator(dataset.shape, dataset.classes)

    def images_of_epoch(self, dataset: Dataset) -> int | None:
        """Return the number of images that an epoch visits; None where it is not known before they are loaded.

        Raises:
            Unsuitable: the task has no epochs.
        """
        raise Unsuitable("training", f"{self.name()} has no epochs; allowed: steps or seconds")

    def on_few_images(self) -> "TaskKind":
        """Return the task as its training step is tried: without what needs more images than a few."""
        return self

    def check_data(self, data: Any, seed: int) -> None:
        """Refuse loaded data on which a run with ``seed`` cannot be trained, before the first run starts.

        Raises:
            InputError: says what is missing.
        """

    @abstractmethod
    def default_model(self, shape: tuple[int, ...]) -> Model:
        """Return the model that ``auto`` means for samples of ``shape``."""

    @abstractmethod
    def default_loss(self) -> Loss:
        """Return the loss of a sweep that names none."""

    @abstractmethod
    def judged_by(self, dataset: Dataset, evaluation: Evaluation = DEFAULT_EVALUATION) -> tuple[str, ...]:
        """Return the metrics by which the best step of a run on ``dataset`` can be chosen; the first is the default."""

    def check_metric(self, metric: Metric, dataset: Dataset, evaluation: Evaluation) -> None:
        """Refuse a metric of the evaluation, from a file or another package, that runs on ``dataset`` cannot measure.

        Raises:
            Unsuitable: says what the metric needs.
        """
        raise Unsuitable("evaluation", f"task {self.name()} measures no further metrics; allowed: metrics: []")

    @abstractmethod
    def check(self, dataset: Dataset, model: Model, loss: Loss, setting: Setting) -> None:
        """Refuse a configuration that the task does not support.

        Raises:
            Unsuitable: names the axis of the sweep file and what is allowed there.
        """


TASKS = ExtensionPoint("task", "tasks", "lipschitz.tasks", TaskKind)
