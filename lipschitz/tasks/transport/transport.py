"""Train a critic on a pair of distributions whose Wasserstein-1 distance is known: the task ``transport``."""

from typing import Any

from lipschitz.datasets.base import Dataset
from lipschitz.metrics.catalogue import CATALOGUE as METRICS
from lipschitz.models.base import Model
from lipschitz.models.critic import Critic
from lipschitz.tasks.base import TaskKind, Unsuitable
from lipschitz.tasks.losses import GANLoss, Loss, Wasserstein
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import DEFAULT_EVALUATION, Evaluation, Terms
from lipschitz.tasks.transport import potential
from lipschitz.tasks.transport.critic_training import CriticTraining
from lipschitz.training.task import Task


class TransportTask(TaskKind):
    """A critic maximises the Wasserstein-1 dual of two distributions whose optimal transport is known.

    Where their densities are known, too, it may minimise a cross-entropy instead, as the discriminator of a GAN whose
    generator is fixed. It is then also compared with the optimal one, log p/q.
    """

    source = "Korotin et al. 2022, arXiv:2206.07767"
    has_generator = False

    def build(self, data: Any, terms: Terms) -> Task:
        """Return a critic of the terms' model, in training."""
        return CriticTraining(data, terms)

    def default_model(self, shape: tuple[int, ...]) -> Model:
        """Return ``critic``."""
        return Critic()

    def default_loss(self) -> Loss:
        """Return the Wasserstein loss."""
        return Wasserstein()

    def judged_by(self, dataset: Dataset, evaluation: Evaluation = DEFAULT_EVALUATION) -> tuple[str, ...]:
        """Return the metrics that judge a critic; not the dual value, which is larger where a critic is too steep."""
        return tuple(name for name in potential.METRICS if METRICS[name].better)

    def check(self, dataset: Dataset, model: Model, loss: Loss, setting: Setting) -> None:
        """Refuse data without known transport, losses without known optimum, and several updates per iteration."""
        if dataset.kind != "pairs":
            raise Unsuitable("datasets", f"{dataset.label()} has no known transport; allowed: task: generation")
        if not isinstance(loss, Wasserstein):
            self._check_optimum(dataset, loss)
        if setting.n_dis != 1:
            raise Unsuitable("settings", f"transport has no generator, and n_dis is {setting.n_dis}; allowed: 1")
        if setting.n_dis_start is not None:
            raise Unsuitable(
                "settings", f"transport has no generator; n_dis_start {setting.n_dis_start}: not supported"
            )

    def _check_optimum(self, dataset: Dataset, loss: Loss) -> None:
        if not (isinstance(loss, GANLoss) and loss.estimates_log_ratio):
            said = f"transport maximises the Wasserstein dual, not {loss.label()}"
            more = ", non_saturating, minimax" if dataset.has_log_ratio else ""
            raise Unsuitable("losses", f"{said}; allowed: wasserstein{more}")
        if not dataset.has_log_ratio:
            said = f"the optimal discriminator of {loss.label()} is log p/q, which is not known of {dataset.label()}"
            raise Unsuitable("losses", f"{said}; allowed: wasserstein, or data such as scaled_gaussian")
