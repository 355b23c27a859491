"""What a task is built from besides data: model, constraints, loss, setting, training and evaluation of a run."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt, Strict, model_validator

from lipschitz.config import Config
from lipschitz.constraints.base import Constraint
from lipschitz.extensions.entry import entry_of, invalid, unique
from lipschitz.features.protocols.base import Protocol
from lipschitz.features.protocols.catalogue import PROTOCOLS
from lipschitz.metrics.base import Metric
from lipschitz.metrics.further import FURTHER_METRIC
from lipschitz.models.base import Model
from lipschitz.tasks.losses.base import Loss
from lipschitz.tasks.memory_format import MemoryFormat
from lipschitz.tasks.precision import Precision
from lipschitz.tasks.settings import Setting


class Training(Config):
    """How long and how a run trains, the same for every method of a sweep.

    A new field is validated, part of a run's id where it is not the default, written to ``run.json``, and in the JSON
    Schema. A task reads it as ``terms.training.<field>``.
    """

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

    def steps_at(self, ms_per_iteration: float | None) -> int:
        """Return the number of iterations; zero if the budget is in seconds and an iteration was not timed (None)."""
        if self.steps is not None:
            return self.steps
        if self.seconds is None or ms_per_iteration is None:
            return 0
        return max(1, math.floor(1000 * self.seconds / ms_per_iteration))

    def incomparable(self) -> list[str]:
        """Return precision and layout where they are not the default: such runs are compared among themselves."""
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
    protocols: Annotated[tuple[Annotated[Protocol, *entry_of(PROTOCOLS)], ...], Strict(False), unique] = ()
    """By which images are judged besides, in the features of the FID's Inception network: sngan, modern, or a variant
    by fields; what is recorded is called fid/sngan and so on."""
    metrics: Annotated[tuple[Annotated[Metric, *FURTHER_METRIC], ...], Strict(False), unique] = ()
    """Metrics that are measured besides the package's own: of installed packages by name, and of files."""


DEFAULT_EVALUATION = Evaluation()


@dataclass(frozen=True)
class Terms:
    """The definition of a run as a task sees it, and where it runs."""

    model: Model
    constraints: tuple[Constraint, ...]
    """Of the discriminator, or critic."""
    loss: Loss
    setting: Setting
    seed: int
    training: Training
    evaluation: Evaluation
    selection: str
    """Metric by which the best step is chosen."""
    device: torch.device
    """Where networks and data are."""
    generator_constraints: tuple[Constraint, ...] = ()
    inception_weights: Path | None = None
    """File of the weights of the FID's Inception network; the cached file where None."""
