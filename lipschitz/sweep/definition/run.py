"""A run: one training, wholly defined; its id is readable and hashes what defines it."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, Strict, model_validator

from lipschitz.config import Config
from lipschitz.constraints.base import Constraint
from lipschitz.datasets.base import Dataset
from lipschitz.extensions.outside import origin_of
from lipschitz.models.base import Model
from lipschitz.sweep.definition.entries import ProtocolEntry, invalid, unique
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.memory_format import MemoryFormat
from lipschitz.tasks.precision import Precision
from lipschitz.tasks.settings import SETTINGS, Setting

TaskName = Literal["generation", "transport"]


class Training(Config):
    """How long a run trains, the same for every method of a product."""

    steps: PositiveInt | None = None
    """Iterations: n_dis discriminator updates and one generator update each; of transport, an update of the critic."""
    seconds: PositiveFloat | None = None
    """Time instead of iterations: as many steps as fit, by the timing pass; written into each run's definition."""
    batch_size: PositiveInt = 64
    """Samples of either kind, real and generated, per update."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the generator's weights, judged apart (``fid/sngan/ema``): it neither
    trains anything nor chooses a run's best step. Null for none."""
    generator_batch_size: PositiveInt | None = None
    """Samples per update of the generator; null for as many as of either kind (SN-GAN's ResNets have twice as many)."""
    precision: Precision = "float32"
    """Of training steps. ``tf32``: matrix products and convolutions, on CUDA alone. ``bf16``: forward passes under
    autocast; losses, penalties, constraints and optimisers stay in float32. What is measured is never in either."""
    layout: MemoryFormat = "contiguous"
    """Of images in memory, in training steps. ``channels_last``: both networks work in it, up to layers that return
    contiguous maps, such as ``full_sort``; the arithmetic is the same but for rounding. Kernels, constraints and what
    is measured stay contiguous."""

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        if self.steps is None and self.seconds is None:
            raise invalid("no budget; allowed: steps or seconds")
        if self.steps is not None and self.seconds is not None:
            raise invalid(f"steps {self.steps} and seconds {self.seconds:g} are two budgets; allowed: one of them")
        return self

    def steps_of(self, timing: Mapping[str, Any] | None) -> int:
        """Return the number of iterations; zero where a budget in seconds lacks ``timing``, what the pass measured."""
        if self.steps is not None:
            return self.steps
        if self.seconds is None or timing is None:
            return 0
        return max(1, math.floor(1000 * self.seconds / iteration_ms(timing)))

    def apart(self) -> list[str]:
        """Return what keeps runs from a comparison with others: precision and layout, but for the defaults."""
        changed = self.changed()
        return [changed[name] for name in ("precision", "layout") if name in changed]


class Evaluation(Config):
    """When and on how much a run is measured."""

    every: PositiveInt = 500
    """Iterations between two evaluations; the start and the end are always measured."""
    samples: Annotated[int, Field(ge=2)] = 2000
    """Generated and real samples per evaluation; fewer where the data set's held-out part is smaller."""
    gradient_samples: PositiveInt = 128
    """Points of each kind at which the discriminator's input gradient is measured."""
    select: str | None = None
    """Metric that chooses a run's best step; by default w1 for points, frechet_classifier for images, cosine for
    transport, and for images without labels the FID of the first protocol."""
    protocols: Annotated[tuple[ProtocolEntry, ...], Strict(False), unique] = ()
    """By which images are judged besides, in the features of the FID's Inception network: sngan, modern, or a variant
    by fields; what is recorded is called fid/sngan and so on."""


@dataclass(frozen=True)
class Run:
    """task x dataset x model x constraints x loss x setting x seed, with its budget and evaluation."""

    task: TaskName
    dataset: Dataset
    model: Model
    constraints: tuple[Constraint, ...]
    loss: str
    setting: Setting
    seed: int
    training: Training
    evaluation: Evaluation
    generator_constraints: tuple[Constraint, ...] = ()

    def canonical(self) -> dict[str, Any]:
        """Return what defines the run, without what equals its default: so new fields leave old ids alone."""
        canonical = {
            "task": self.task,
            "dataset": self.dataset.entry(),
            "model": self.model.entry(),
            "constraints": [_identified(constraint) for constraint in self.constraints],
            "loss": self.loss,
            "setting": self.setting.changed(),
            "seed": self.seed,
            "training": self.training.changed(),
            "evaluation": self.evaluation.changed(),
        }
        if self.generator_constraints:
            canonical["generator_constraints"] = [_identified(one) for one in self.generator_constraints]
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
        apart = self.training.apart()
        return {
            "task": self.task,
            "dataset": self.dataset.label(),
            # What bounds the generator makes other networks of a model's: methods are compared within them.
            "model": self.model.label()
            + (f" with {_joined(self.generator_constraints)} in G" * bool(self.generator_constraints)),
            "constraint": _joined(self.constraints),
            "loss": self.loss,
            # Methods are compared within one precision and layout, even where no method has runs in two.
            "setting": self.setting.label() + f" [{', '.join(apart)}]" * bool(apart),
        }

    def definition(self, steps: int) -> dict[str, Any]:
        """Return ``run.json``: everything resolved, defaults and the number of ``steps`` included."""
        return {
            "id": self.id,
            "configuration": self.configuration,
            "labels": self.labels(),
            "seed": self.seed,
            "steps": steps,
            "run": {
                "task": self.task,
                "dataset": _resolved(self.dataset),
                "model": _resolved(self.model),
                "constraints": [_resolved(constraint) for constraint in self.constraints],
                "generator_constraints": [_resolved(constraint) for constraint in self.generator_constraints],
                "loss": self.loss,
                "setting": self.setting.model_dump(mode="json"),
                "training": self.training.model_dump(mode="json"),
                "evaluation": self.evaluation.model_dump(mode="json"),
            },
            "sources": self.sources(),
            "outside": {
                constraint.name(): origin.facts()
                for constraint in (*self.constraints, *self.generator_constraints)
                if (origin := origin_of(type(constraint)))
            },
        }

    def sources(self) -> dict[str, dict[str, str]]:
        """Return, by axis and name, the paper or publisher of everything that the run is made of."""
        return {
            "dataset": {self.dataset.name(): self.dataset.source},
            "model": {self.model.name(): self.model.source},
            "constraint": {one.name(): one.source for one in (*self.constraints, *self.generator_constraints)},
            "loss": {self.loss: LOSSES[self.loss].source},
            # Hyperparameters of one's own are from nowhere.
            "setting": {label: self.setting.source} if (label := self.setting.label()) in SETTINGS else {},
        }


def _joined(constraints: tuple[Constraint, ...]) -> str:
    return "+".join(constraint.label() for constraint in constraints)


def _identified(constraint: Constraint) -> Any:
    """Return a constraint's entry, with what tells it from another of the same name where it is from outside."""
    origin = origin_of(type(constraint))
    return {"entry": constraint.entry(), **origin.identity()} if origin else constraint.entry()


def _resolved(record: Config) -> dict[str, Any]:
    return {"name": record.name(), **record.model_dump(mode="json")}


def _digest(value: dict[str, Any]) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]
