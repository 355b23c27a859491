"""A run: one training. Its id is readable, and ends in a hash of everything that defines the run."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lipschitz.config import Config
from lipschitz.constraints.base import Constraint
from lipschitz.datasets.base import Dataset
from lipschitz.extensions.origin import Origin, origin_of
from lipschitz.models.base import Model
from lipschitz.tasks.base import TaskKind
from lipschitz.tasks.losses import Loss
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

    def with_seed(self, seed: int) -> "Run":
        """Return the same run with another seed; what the seed does not change is not computed again."""
        other = replace(self, seed=seed)
        # A frozen instance keeps its cached properties here.
        vars(other).update({name: getattr(self, name) for name in _WITHOUT_SEED})
        return other

    def canonical(self) -> dict[str, Any]:
        """Return what defines the run, without fields at their default, so that a new field does not change old ids."""
        return {**self._unseeded, "seed": self.seed}

    @cached_property
    def _unseeded(self) -> dict[str, Any]:
        """What defines the run besides its seed."""
        canonical = {
            "task": _identified(self.task),
            "dataset": _identified(self.dataset),
            "model": _identified(self.model),
            "constraints": [_identified(constraint) for constraint in self.constraints],
            "loss": _identified(self.loss),
            "setting": self.setting.changed() | _origins_of_optimisers(self.setting),
            "training": self.training.changed(),
            "evaluation": self.evaluation.changed(),
        }
        if self.generator_constraints:
            canonical["generator_constraints"] = [_identified(one) for one in self.generator_constraints]
        if self.evaluation.metrics:
            canonical["metrics"] = [_identified(metric) for metric in self.evaluation.metrics]
        for name, ones in (("protocols", self.evaluation.protocols), ("augment", self.training.augment)):
            if outside := [_identified(one) for one in ones if origin_of(type(one))]:
                canonical[name] = outside
        return canonical

    @cached_property
    def id(self) -> str:
        """A readable name that ends in 8 hex digits of the SHA-256 of the canonical JSON."""
        return f"{self._readable}-s{self.seed}-{_digest(self.canonical())}"

    @cached_property
    def configuration(self) -> str:
        """The id of the run without its seed: the unit of the timing pass."""
        return f"{self._readable}-{_digest(self._unseeded)}"

    @cached_property
    def _readable(self) -> str:
        labels = self._labels
        parts = [labels[key] for key in ("dataset", "model", "constraint", "loss", "setting")]
        return re.sub(r"[^A-Za-z0-9_.+=-]+", "_", "-".join(parts))[:150]

    def labels(self) -> dict[str, str]:
        """Return the label of each axis in tables and plots: the bare name where hyperparameters are defaults."""
        return dict(self._labels)

    @cached_property
    def _labels(self) -> dict[str, str]:
        incomparable = self.training.incomparable()
        return {
            "task": self.task.label(),
            "dataset": self.dataset.label(),
            # Methods are compared within one set of constraints on the generator.
            "model": self.model.label()
            + (f" with {_joined(self.generator_constraints)} in G" * bool(self.generator_constraints)),
            "constraint": _joined(self.constraints),
            "loss": self.loss.label(),
            # Methods are compared within one precision, layout and augmentation.
            "setting": self.setting.label() + f" [{', '.join(incomparable)}]" * bool(incomparable),
        }

    def definition(self, steps: int) -> dict[str, Any]:
        """Return ``run.json``: every field of the run with its value, and the number of ``steps``."""
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
            "outside": {name: origin.facts() for name, origin in self.outside()},
            # The report knows the package's own by itself.
            **({"metrics": metrics} if metrics else {}),
        }

    def outside(self) -> list[tuple[str, Origin]]:
        """Return name and origin of every class of the run that is not of the package."""
        return list(self._outside)

    @cached_property
    def _outside(self) -> list[tuple[str, Origin]]:
        return [(config.name(), origin) for config in self._parts() if (origin := origin_of(type(config)))]

    def _parts(self) -> tuple[Config, ...]:
        """Return every config in the run."""
        parts = (self.task, self.dataset, self.model, *self.constraints, *self.generator_constraints, self.loss)
        other = self.setting.discriminator_optimiser
        optimisers = (self.setting.optimiser, *([] if other is None else [other]))
        evaluation = (*self.evaluation.protocols, *self.evaluation.metrics)
        return (*parts, *optimisers, *self.training.augment, *evaluation)

    def sources(self) -> dict[str, dict[str, str]]:
        """Return, by axis and name, the paper or publisher of every config in the run."""
        augment = self.training.augment
        return {
            "dataset": {self.dataset.name(): self.dataset.source},
            "model": {self.model.name(): self.model.source},
            "constraint": {one.name(): one.source for one in (*self.constraints, *self.generator_constraints)},
            "loss": {self.loss.name(): self.loss.source},
            # Hyperparameters that the sweep file gives have no source.
            "setting": {label: self.setting.source} if (label := self.setting.label()) in SETTINGS else {},
            **({"augmentation": {one.name(): one.source for one in augment}} if augment else {}),
        }


_WITHOUT_SEED = ("_unseeded", "_readable", "_labels", "_outside", "configuration")
"""Cached properties that runs share which differ in their seed alone."""


def _origins_of_optimisers(setting: Setting) -> dict[str, Any]:
    """Return what distinguishes optimisers from outside the package from others of the same name."""
    names = ("optimiser", "discriminator_optimiser")
    origins = {name: origin_of(type(getattr(setting, name))) for name in names}
    return {f"{name}_origin": origin.identity() for name, origin in origins.items() if origin}


def _joined(constraints: tuple[Constraint, ...]) -> str:
    return "+".join(constraint.label() for constraint in constraints)


def _identified(config: Config) -> Any:
    """Return the entry of a config; for a class from outside the package, with what identifies its code."""
    origin = origin_of(type(config))
    return {"entry": config.entry(), **origin.identity()} if origin else config.entry()


def _resolved(record: Config) -> dict[str, Any]:
    return {"name": record.name(), **record.model_dump(mode="json")}


def _digest(value: dict[str, Any]) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]
