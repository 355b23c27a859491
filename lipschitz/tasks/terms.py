"""The definition of a run as a task sees it: model, constraints, loss, setting, training and evaluation."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, Strict, model_validator

from lipschitz.config import Config, Samples
from lipschitz.constraints.base import Constraint
from lipschitz.extensions.entry import entry_error, entry_of, unique
from lipschitz.features.protocols import PROTOCOLS, Protocol
from lipschitz.metrics.base import Metric
from lipschitz.metrics.catalogue import FURTHER_METRIC
from lipschitz.models.base import Model
from lipschitz.tasks.augmentation import AUGMENTATIONS, Augmentation
from lipschitz.tasks.losses import Loss
from lipschitz.tasks.memory_format import MemoryFormat
from lipschitz.tasks.precision import Precision
from lipschitz.tasks.settings import Setting

Steps = Annotated[int, Field(ge=1, le=10**9)]


class Training(Config):
    """How long and how runs train, the same for every method of a sweep.

    A new field is validated, written to ``run.json`` and the JSON Schema, and part of a run's id where it differs from
    its default. A task reads it as ``terms.training.<field>``.
    """

    steps: Steps | None = None
    """Iterations: each is n_dis discriminator updates and one generator update; in transport and classification, one
    update."""
    seconds: Annotated[float, Field(gt=0, le=10**8)] | None = None
    """Training time instead of steps. The timing pass converts it to steps, which run.json records."""
    epochs: Steps | None = None
    """Passes over the training images instead of steps, for classification. They become steps when the sweep is
    planned; a batch at the end of a pass goes on with the next one."""
    batch_size: Samples = 64
    """Real samples per update, and as many generated ones."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the generator's weights, or null for none. The average is evaluated
    under names of its own, such as fid/sngan/ema, with batch statistics estimated anew. It does not affect training or
    the choice of a run's best step."""
    ema_start: Steps | None = None
    """Iterations before the average begins, or null for none: until then it equals the weights, so that it never holds
    the initial ones."""
    generator_batch_size: Samples | None = None
    """Generated samples per generator update; null for batch_size (SN-GAN's ResNets use twice as many)."""
    precision: Precision = "float32"
    """Precision of training steps. tf32: matrix products and convolutions in TF32, on CUDA only. bf16: forward passes
    under autocast to bfloat16, gradients by the input in TF32 on CUDA; losses, constraints and optimisers stay in
    float32. Evaluations are not affected."""
    layout: MemoryFormat = "contiguous"
    """Memory format of images in training steps. channels_last: both networks use it, up to layers that return
    contiguous maps, such as full_sort. Results differ by rounding only. Kernels, constraints and evaluations stay
    contiguous."""
    augment: Annotated[tuple[Annotated[Augmentation, *entry_of(AUGMENTATIONS)], ...], Strict(False), unique] = ()
    """Augmentations of the images that the discriminator judges, in this order: flip, crop (real images), diffaugment
    (real and generated ones). Penalties see the augmented images, evaluations do not."""

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        budgets = {"steps": self.steps, "seconds": self.seconds, "epochs": self.epochs}
        given = [f"{name} {value:g}" for name, value in budgets.items() if value is not None]
        if not given:
            raise entry_error("no budget; allowed: steps or seconds, or epochs for classification")
        if len(given) > 1:
            number = "two" if len(given) == 2 else "three"
            raise entry_error(f"{' and '.join(given)} are {number} budgets; allowed: one of them")
        if self.ema_start is not None and self.ema is None:
            raise entry_error(f"ema_start {self.ema_start} without ema; allowed: both, or neither")
        if self.steps is not None and (self.ema_start or 0) >= self.steps:
            raise entry_error(f"ema_start {self.ema_start} of {self.steps} steps; allowed: less than steps")
        return self

    def steps_at(self, ms_per_iteration: float | None) -> int:
        """Return the number of iterations; zero if the budget is in seconds and an iteration was not timed (None)."""
        if self.steps is not None:
            return self.steps
        if self.seconds is None or ms_per_iteration is None:
            return 0
        return max(1, math.floor(1000 * self.seconds / ms_per_iteration))

    def with_steps(self, images: int) -> "Training":
        """Return the same with the steps that visit ``images`` as often as ``epochs`` says, rounded up."""
        assert self.epochs is not None
        return self.model_copy(update={"steps": -(-self.epochs * images // self.batch_size)})

    def averaged_steps(self, steps: int) -> tuple[float | None, int]:
        """Return ``ema`` where the average starts from the initial weights, else None, and ``steps``."""
        return (None if self.ema_start else self.ema), steps

    def incomparable(self) -> list[str]:
        """Return precision, layout and augmentations other than the default: such runs are compared with each other."""
        changed = self.changed()
        return [changed[name] for name in ("precision", "layout") if name in changed] + list(changed.get("augment", ()))


class Evaluation(Config):
    """When a run is evaluated, and on how many samples."""

    every: Steps = 500
    """Iterations between two evaluations; start and end are always evaluated."""
    samples: Annotated[int, Field(ge=2, le=10**6)] = 2000
    """Generated samples per evaluation, and as many real ones; fewer if the data set holds out fewer. For
    classification: images of each part, test, validation and train."""
    gradient_samples: Samples = 128
    """Points of each kind (real, fake, interpolated, ...) at which the discriminator's input gradient is measured."""
    exact: Literal["last", "every", "never"] = "last"
    """When the exact Lipschitz constant is computed, which needs a piecewise-linear discriminator of one or two inputs.
    last: after the last step. every: at every evaluation."""
    select: str | None = None
    """Metric that chooses a run's best step. By default w1 for points, frechet_classifier for images, cosine for
    transport, accuracy/validation for classification, and the FID of the first protocol for images without labels."""
    protocols: Annotated[tuple[Annotated[Protocol, *entry_of(PROTOCOLS)], ...], Strict(False), unique] = ()
    """Protocols of further image metrics, in the features of the FID's Inception network: sngan, modern, or one of them
    with changed fields. Metrics are recorded as fid/sngan and so on."""
    metrics: Annotated[tuple[Annotated[Metric, *FURTHER_METRIC], ...], Strict(False), unique] = ()
    """Metrics that are measured besides the package's own: of installed packages by name, and of files."""


DEFAULT_EVALUATION = Evaluation()


@dataclass(frozen=True)
class Terms:
    """The definition of a run as a task sees it, and the device that it runs on."""

    model: Model
    constraints: tuple[Constraint, ...]
    """Constraints of the discriminator, or critic."""
    loss: Loss
    setting: Setting
    seed: int
    training: Training
    evaluation: Evaluation
    selection: str
    """Metric by which the best step is chosen."""
    device: torch.device
    """Device of networks and data."""
    generator_constraints: tuple[Constraint, ...] = ()
    inception_weights: Path | None = None
    """File of the weights of the FID's Inception network; None for the file in the cache."""
