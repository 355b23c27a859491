"""What a task is made of besides its data: a run, resolved."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from lipschitz.constraints.base import Constraint
from lipschitz.features.protocols import Protocol
from lipschitz.models.base import Model
from lipschitz.tasks.losses import Loss
from lipschitz.tasks.memory_format import MemoryFormat
from lipschitz.tasks.precision import Precision
from lipschitz.tasks.settings import Setting


class Terms(NamedTuple):
    """On what terms networks are trained and measured."""

    model: Model
    constraints: Sequence[Constraint]
    """Of the discriminator, or critic."""
    loss: Loss
    setting: Setting
    seed: int
    batch_size: int
    """Samples of either kind, real and generated, per update of the discriminator."""
    samples: int
    """Generated and real samples per evaluation; as many as are held out, where those are fewer."""
    gradient_samples: int
    """Points of each kind at which the discriminator's gradient is measured."""
    selection: str
    """Metric by which the best step is chosen."""
    device: torch.device
    """Where everything lives."""
    generator_constraints: Sequence[Constraint] = ()
    generator_batch_size: int | None = None
    """Samples per update of the generator; as many as ``batch_size`` where None."""
    ema: float | None = None
    """Decay, per generator update, of an average of the generator's weights that is judged too; None for no average."""
    protocols: Sequence[Protocol] = ()
    """By which images are judged besides, in the features of the FID's Inception network."""
    inception_weights: Path | None = None
    """File of that network's weights; that in the cache where None."""
    precision: Precision = "float32"
    """Of training steps; what is measured is measured in float32 and float64."""
    layout: MemoryFormat = "contiguous"
    """Of images in memory during training steps; points know none but the default."""
