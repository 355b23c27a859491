"""A run: one training, wholly defined; its id is readable and hashes what defines it."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from lipschitz.config import Config
from lipschitz.constraints.base import Constraint
from lipschitz.datasets.base import Dataset
from lipschitz.extensions.origin import origin_of
from lipschitz.models.base import Model
from lipschitz.tasks.base import TaskKind
from lipschitz.tasks.losses.base import Loss
from lipschitz.tasks.settings import SETTINGS, Setting
from lipschitz.tasks.terms import Evaluation, Training


@dataclass(frozen=True)
class Run:
    """task x dataset x model x constraints x loss x setting x seed, with its budget and evaluation."""

    task: TaskKind
    dataset: Dataset
    model: Model
    constraints: tuple[Constraint, ...]
    loss: Loss
    setting: Setting
    seed: int
    training: Training
    evaluation: Evaluation
    generator_constraints: tuple[Constraint, ...] = ()

    def canonical(self) -> dict[str, Any]:
        """Return what defines the run, without what equals its default: so new fields leave old ids alone."""
        canonical = {
            "task": _identified(self.task),
            "dataset": _identified(self.dataset),
            "model": _identified(self.model),
            "constraints": [_identified(constraint) for constraint in self.constraints],
            "loss": _identified(self.loss),
            "setting": self.setting.changed() | _origin_of_optimiser(self.setting),
            "seed": self.seed,
            "training": self.training.changed(),
            "evaluation": self.evaluation.changed(),
        }
        if self.generator_constraints:
            canonical["generator_constraints"] = [_identified(one) for one in self.generator_constraints]
        if self.evaluation.metrics:
            canonical["metrics"] = [_identified(metric) for metric in self.evaluation.metrics]
        return canonical

    @property
    def id(self) -> str:
        """Return a readable name that ends in 8 hex digits of the SHA-256 of the canonical JSON."""
        return f"{self._readable()}-s{self.seed}-{_digest(self.canonical())}"

    @property
    def configuration(self) -> str:
        """Return the id of the run without its seed: what is timed once."""
        canonical = self.canonical()
        del canonical["seed"]
        return f"{self._readable()}-{_digest(canonical)}"

    def _readable(self) -> str:
        labels = self.labels()
        parts = [labels[key] for key in ("dataset", "model", "constraint", "loss", "setting")]
        return re.sub(r"[^A-Za-z0-9_.+=-]+", "_", "-".join(parts))[:150]

    def labels(self) -> dict[str, str]:
        """Return how tables and plots call each axis: the bare name where hyperparameters are defaults."""
        incomparable = self.training.incomparable()
        return {
            "task": self.task.label(),
            "dataset": self.dataset.label(),
            # What bounds the generator makes other networks of a model's: methods are compared within them.
            "model": self.model.label()
            + (f" with {_joined(self.generator_constraints)} in G" * bool(self.generator_constraints)),
            "constraint": _joined(self.constraints),
            "loss": self.loss.label(),
            # Methods are compared within one precision and layout, even where no method has runs in two.
            "setting": self.setting.label() + f" [{', '.join(incomparable)}]" * bool(incomparable),
        }

    def definition(self, steps: int) -> dict[str, Any]:
        """Return ``run.json``: everything resolved, defaults and the number of ``steps`` included."""
        metrics = {metric.label(): metric.describe().facts() for metric in self.evaluation.metrics}
        return {
            "id": self.id,
            "configuration": self.configuration,
            "labels": self.labels(),
            "seed": self.seed,
            "steps": steps,
            "run": {
                "task": self.task.entry(),
                "dataset": _resolved(self.dataset),
                "model": _resolved(self.model),
                "constraints": [_resolved(constraint) for constraint in self.constraints],
                "generator_constraints": [_resolved(constraint) for constraint in self.generator_constraints],
                "loss": self.loss.entry(),
                "setting": self.setting.model_dump(mode="json"),
                "training": self.training.model_dump(mode="json"),
                "evaluation": self.evaluation.model_dump(mode="json"),
            },
            "sources": self.sources(),
            "outside": {
                config.name(): origin.facts() for config in self._parts() if (origin := origin_of(type(config)))
            },
            # The report knows the package's own by itself.
            **({"metrics": metrics} if metrics else {}),
        }

    def _parts(self) -> tuple[Config, ...]:
        """Return every config that the run is made of."""
        parts = (self.task, self.dataset, self.model, *self.constraints, *self.generator_constraints, self.loss)
        return (*parts, self.setting.optimiser, *self.evaluation.protocols, *self.evaluation.metrics)

    def sources(self) -> dict[str, dict[str, str]]:
        """Return, by axis and name, the paper or publisher of everything that the run is made of."""
        return {
            "dataset": {self.dataset.name(): self.dataset.source},
            "model": {self.model.name(): self.model.source},
            "constraint": {one.name(): one.source for one in (*self.constraints, *self.generator_constraints)},
            "loss": {self.loss.name(): self.loss.source},
            # Hyperparameters of one's own are from nowhere.
            "setting": {label: self.setting.source} if (label := self.setting.label()) in SETTINGS else {},
        }


def _origin_of_optimiser(setting: Setting) -> dict[str, Any]:
    """Return what tells an optimiser from outside from another of the same name."""
    origin = origin_of(type(setting.optimiser))
    return {"optimiser_origin": origin.identity()} if origin else {}


def _joined(constraints: tuple[Constraint, ...]) -> str:
    return "+".join(constraint.label() for constraint in constraints)


def _identified(config: Config) -> Any:
    """Return the entry of a config; of a class from outside also what tells it from another of the same name."""
    origin = origin_of(type(config))
    return {"entry": config.entry(), **origin.identity()} if origin else config.entry()


def _resolved(record: Config) -> dict[str, Any]:
    return {"name": record.name(), **record.model_dump(mode="json")}


def _digest(value: dict[str, Any]) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]
