"""The tasks by the names that sweep files use: how a run of each is built, and what it can be made of."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lipschitz.datasets.base import Dataset
from lipschitz.features.protocols import Protocol
from lipschitz.metrics.catalogue import CATALOGUE as METRICS
from lipschitz.models.base import Model, PairModel
from lipschitz.models.catalogue import CATALOGUE as MODELS
from lipschitz.models.catalogue import auto
from lipschitz.models.critic import Critic
from lipschitz.tasks.generation import quality
from lipschitz.tasks.generation.task import Generation
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import Terms
from lipschitz.tasks.transport import potential
from lipschitz.tasks.transport.task import Transport
from lipschitz.training.task import Task


class Unsuitable(ValueError):
    """What a task cannot be made of: one line, and the axis of a sweep file that it is about."""

    def __init__(self, axis: str, message: str) -> None:
        super().__init__(message)
        self.axis = axis


class TaskKind(NamedTuple):
    """A task as a sweep knows it."""

    build: Callable[[Any, Terms], Task]
    """From data of the kind that it takes."""
    auto: Callable[[tuple[int, ...]], Model]
    """The model that suits samples of a shape."""
    loss: str
    """The loss of a sweep that names none."""
    metrics_of: Callable[..., tuple[str, ...]]
    """What judges runs on a data set by protocols, if any; by the first a run's best step is chosen by default."""
    check: Callable[[Dataset, Model, str, Setting], None]
    """Raises Unsuitable for a data set, model, loss or setting that the task has no use for."""
    has_generator: bool


def _check_generation(dataset: Dataset, model: Model, loss: str, setting: Setting) -> None:
    if dataset.kind == "pairs":
        raise Unsuitable("datasets", f"{dataset.label()} is a pair of distributions; allowed: task: transport")
    if not isinstance(model, PairModel):
        pairs = [name for name, kind in MODELS.items() if issubclass(kind, PairModel)]
        raise Unsuitable("models", f"{model.name()} has no generator; allowed: {', '.join(['auto', *pairs])}")
    if model.is_conditional() and dataset.classes is None:
        said = f"{model.label()} takes the class of each sample, and {dataset.label()} has no labels"
        raise Unsuitable("models", f"{said}; allowed: conditional: false, or data with labels")


def _check_transport(dataset: Dataset, model: Model, loss: str, setting: Setting) -> None:
    if dataset.kind != "pairs":
        raise Unsuitable("datasets", f"{dataset.label()} has no known transport; allowed: task: generation")
    if loss != "wasserstein":
        raise Unsuitable("losses", f"transport maximises the Wasserstein dual, not {loss}; allowed: wasserstein")
    if setting.n_dis != 1:
        raise Unsuitable("settings", f"transport has no generator, and n_dis is {setting.n_dis}; allowed: 1")


def _judging_transport(dataset: Dataset, protocols: Sequence[Protocol] = ()) -> tuple[str, ...]:
    """Leave out what describes a critic and judges none, such as the dual value of one that may be too steep."""
    return tuple(name for name in potential.METRICS if METRICS[name].better)


TASKS: dict[str, TaskKind] = {
    "generation": TaskKind(Generation, auto, "hinge", quality.metrics_of, _check_generation, True),
    "transport": TaskKind(
        Transport, lambda shape: Critic(), "wasserstein", _judging_transport, _check_transport, False
    ),
}
"""Every task by name."""
