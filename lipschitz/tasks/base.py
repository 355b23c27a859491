"""The base class of tasks: what a run can be made of, how it is built, what judges it."""

from abc import abstractmethod
from typing import Any, ClassVar

from lipschitz.config import Config
from lipschitz.datasets.base import Dataset
from lipschitz.metrics.base import Metric
from lipschitz.models.base import Model
from lipschitz.tasks.losses.base import Loss
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import DEFAULT_EVALUATION, Evaluation, Terms
from lipschitz.training.task import Task


class Unsuitable(ValueError):
    """What a task cannot be made of: one line, and the axis of a sweep file that it is about."""

    def __init__(self, axis: str, message: str) -> None:
        super().__init__(message)
        self.axis = axis


class TaskKind(Config):
    """A task that a sweep file can name. A subclass is one file, in a folder of this package named after the task.

    What the report calls things of a task stands in ``wording.py`` of that folder, which must not import torch.
    """

    has_generator: ClassVar[bool]
    """Whether a generator is trained against the discriminator."""

    @abstractmethod
    def build(self, data: Any, terms: Terms) -> Task:
        """Return the networks, optimisers and random streams of a run on loaded ``data``."""

    @abstractmethod
    def default_model(self, shape: tuple[int, ...]) -> Model:
        """Return the model that ``auto`` means for samples of ``shape``."""

    @abstractmethod
    def default_loss(self) -> Loss:
        """Return the loss of a sweep that names none."""

    @abstractmethod
    def judged_by(self, dataset: Dataset, evaluation: Evaluation = DEFAULT_EVALUATION) -> tuple[str, ...]:
        """Return the metrics by which runs on ``dataset`` can be chosen; the first chooses a run's best step."""

    def check_metric(self, metric: Metric, dataset: Dataset, evaluation: Evaluation) -> None:
        """Refuse a metric of the evaluation, from a file or another package, that runs on ``dataset`` cannot measure.

        Raises:
            Unsuitable: says what the metric needs.
        """
        raise Unsuitable("evaluation", f"task {self.name()} measures no further metrics; allowed: metrics: []")

    @abstractmethod
    def check(self, dataset: Dataset, model: Model, loss: Loss, setting: Setting) -> None:
        """Refuse what the task cannot be made of.

        Raises:
            Unsuitable: names the axis of the sweep file and says what is allowed.
        """
