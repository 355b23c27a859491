"""Make one training step of a configuration without values, so that what cannot be trained is refused by the plan.

The step runs on the meta device, at the real batch size and in train mode: the discriminator's update with its penalty
and projection, and the generator's update; without a generator, a gradient by the input. Shapes are checked and bytes
are counted, but nothing is computed. A method that needs values, as `Tensor.item` does, is tried on the CPU instead, on
random samples and a batch of two. Not tried: a task from outside the package, whose data only it knows; the optimiser's
arithmetic; rounding to bfloat16.

Other code from outside is tried in a process of its own, so that code that exits or crashes ends that process alone.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.constraints.base import AnyModel, Constraint, Refusal
from lipschitz.datasets.base import Data, Dataset, ImageData, PairData
from lipschitz.datasets.images.split import Split
from lipschitz.errors import InputError, first_line
from lipschitz.extensions.origin import origin_of
from lipschitz.global_state import GlobalState
from lipschitz.models.base import Model
from lipschitz.sweep.definition.call_apart import NotStarted, Unanswered, call_apart
from lipschitz.sweep.definition.peak_bytes import PeakBytes
from lipschitz.tasks.base import TaskKind
from lipschitz.tasks.losses import Loss
from lipschitz.tasks.one_network import OneNetworkTraining
from lipschitz.tasks.optimisers import Optimiser
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import Evaluation, Terms, Training
from lipschitz.training.task import Task

META, CPU = torch.device("meta"), torch.device("cpu")
SMALL_BATCH = 2
"""Batch size on the CPU, where it is not smaller."""
ROOMY_BATCH = 8
"""A batch size that every method and model supports."""
SMALL_BYTES = 2**28
"""Most bytes of networks that are tried on the CPU."""
MEMORY_FACTOR = 4
"""A step is refused if it needs this many times the memory of this machine, since another may train it."""
TIME_LIMIT = 120.0
"""Longest time in seconds for code from outside: a method that hangs is refused."""
IMAGES = 16
NEEDS_VALUES = "needs values"
"""Stands for the reason where a step cannot be made on the meta device."""
FAILS = "a training step fails: "
"""What precedes an error of a step; a refusal by a method says what is wrong by itself."""


@dataclass(frozen=True)
class Configuration:
    """What a training step depends on."""

    task: TaskKind
    dataset: Dataset
    model: Model
    constraints: tuple[Constraint, ...]
    loss: Loss
    training: Training
    evaluation: Evaluation
    generator_constraints: tuple[Constraint, ...] = ()

    def with_batch(self, n: int) -> "Configuration":
        """Return the configuration with batches of ``n`` samples in both updates."""
        of_generator = None if self.training.generator_batch_size is None else n
        training = self.training.model_copy(update={"batch_size": n, "generator_batch_size": of_generator})
        return replace(self, training=training)


class _Unoptimised(Optimiser):
    """Plain gradient descent. Fused kernels of the package's optimisers do not run on the meta device."""

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's SGD."""
        return torch.optim.SGD(parameters, lr=lr)


@dataclass(frozen=True, eq=False)
class _Points:
    """Stand-in for points ``(n, *shape)``."""

    shape: tuple[int, ...]
    device: torch.device
    hash: str = ""

    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw float32 ``(n, *shape)``."""
        return torch.randn(n, *self.shape, generator=rng, device=self.device)

    reference = floor = batch


class StepFailure(NamedTuple):
    """Why a training step fails."""

    reason: str
    key: str
    """The key of the sweep file at fault: ``training.batch_size``, ``constraints``, ``generator_constraints``,
    ``losses``, ``training.augment`` or ``models``, the first for which another entry mends the step."""


def step_failure(configuration: Configuration) -> StepFailure | None:
    """Return why a training step of the configuration fails, or None if it does not."""
    # A budget, or when a run is evaluated, does not change the step; nor does rounding change its shapes.
    training = configuration.training.model_copy(update={"steps": 1, "seconds": None, "precision": "float32"})
    evaluation = configuration.evaluation.model_copy(update={"every": 1, "samples": 2, "gradient_samples": 1})
    return _failure(replace(configuration, training=training, evaluation=evaluation))


@cache
def _failure(configuration: Configuration) -> StepFailure | None:
    if origin_of(type(configuration.task)) is not None:
        return None
    if not is_from_outside(configuration):
        return _found(configuration)
    try:
        failure: StepFailure | None = call_apart(_found, configuration, seconds=TIME_LIMIT)
    except NotStarted:
        return None
    except Unanswered as error:
        return StepFailure(f"{FAILS}{error}", "constraints" if configuration.constraints else "models")
    return failure


def _found(configuration: Configuration) -> StepFailure | None:
    reason = _reason(configuration)
    return None if reason is None else StepFailure(reason, _at_fault(configuration))


def is_from_outside(configuration: Configuration) -> bool:
    """Return whether a step calls code from outside the package."""
    one = (configuration.model, configuration.loss)
    every = (*one, *configuration.constraints, *configuration.generator_constraints, *configuration.training.augment)
    return any(origin_of(type(part)) is not None for part in every)


def _at_fault(configuration: Configuration) -> str:
    mended = {
        "training.batch_size": configuration.with_batch(ROOMY_BATCH),
        "constraints": replace(configuration, constraints=()),
        "generator_constraints": replace(configuration, generator_constraints=()),
        "losses": replace(configuration, loss=configuration.task.default_loss()),
        "training.augment": replace(configuration, training=configuration.training.model_copy(update={"augment": ()})),
    }
    return next((key for key, other in mended.items() if other != configuration and _reason(other) is None), "models")


def _reason(configuration: Configuration) -> str | None:
    """Return why the step fails, in one line, or None."""
    anywhere = replace(configuration, model=with_one_start(configuration.model))
    bare = replace(anywhere, constraints=(), generator_constraints=(), loss=configuration.task.default_loss())
    if (need := _bytes(bare)) > MEMORY_FACTOR * memory():
        return f"{FAILS}it needs at least {_gib(need)}, and this machine has {_gib(memory())}"
    reason = _reason_on_meta(anywhere)
    if reason != NEEDS_VALUES:
        return reason
    return _reason_on_cpu(configuration) if need <= SMALL_BYTES else None


def with_one_start(model: AnyModel) -> AnyModel:
    """Return a model of the package with its default initial weights: they change no shapes."""
    if origin_of(type(model)) is not None or getattr(model, "init", None) is None:
        return model
    return model.model_copy(update={"init": None})


@cache
def _reason_on_meta(configuration: Configuration) -> str | None:
    """Return why the step fails on the meta device, `NEEDS_VALUES`, or None."""
    try:
        _make_step(configuration, META)
    except Refusal as error:
        return str(error)
    except InputError as error:
        return f"{FAILS}{error}"
    except (Exception, SystemExit) as error:
        return NEEDS_VALUES if _needs_values(error) else FAILS + first_line(error, with_type=True)
    return None


def _reason_on_cpu(configuration: Configuration) -> str | None:
    training = configuration.training
    n = min(SMALL_BATCH, training.batch_size, training.generator_batch_size or SMALL_BATCH)
    try:
        _make_step(configuration.with_batch(n), CPU)
    except Refusal as error:
        return str(error)
    except (Exception, SystemExit) as error:
        return FAILS + first_line(error, with_type=True)
    return None


@cache
def _bytes(configuration: Configuration) -> int:
    """Return the most bytes that tensors of the step hold at once; where it fails, until then."""
    count = PeakBytes()
    # Why it fails is found again, and named, without counting, which is slow.
    with suppress(Exception, SystemExit), count:
        _make_step(configuration, META)
    return count.peak


def memory() -> int:
    """Return the bytes of this machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _gib(n: int) -> str:
    return f"{n / 2**30:,.0f} GiB"


def _needs_values(error: BaseException) -> bool:
    """Return whether an error on the meta device says that an operation needs values, or has no rule for shapes."""
    return isinstance(error, NotImplementedError) or "meta" in str(error).lower()


def _make_step(configuration: Configuration, device: torch.device) -> None:
    with watched():
        task = build_without_data(configuration, device)
        task.step(0.0)
        if isinstance(task, OneNetworkTraining):
            # The update of a generator needs that gradient, so tasks with one need no check.
            task.check_input_gradient(configuration.dataset.shape)


def build_without_data(configuration: Configuration, device: torch.device) -> Task:
    """Return a task that can make steps on ``device``, such as meta, on samples of the data set's shape."""
    selection = configuration.evaluation.select
    terms = Terms(
        configuration.model,
        configuration.constraints,
        configuration.loss,
        Setting().model_copy(update={"optimiser": _Unoptimised()}),
        0,
        configuration.training,
        configuration.evaluation,
        selection or configuration.task.judged_by(configuration.dataset, configuration.evaluation)[0],
        device,
        configuration.generator_constraints,
    )
    with device:
        return configuration.task.on_few_images().build(_stand_in(configuration.dataset, device), terms)


def _stand_in(dataset: Dataset, device: torch.device) -> Data | PairData:
    """Return samples with the shape and classes that ``dataset`` states; nothing is loaded."""
    if dataset.kind == "points":
        return _Points(dataset.shape, device)
    if dataset.kind == "pairs":
        (d,) = dataset.shape
        return PairData(
            d,
            lambda n, rng, dtype: torch.randn(n, d, generator=rng, dtype=dtype, device=device),
            lambda y: y + 1,
            lambda x: x.sum(1),
            torch.ones_like,
            1.0,
            0.0,
            "",
        )
    images = torch.randint(256, (IMAGES, *dataset.shape), dtype=torch.uint8, device=device)
    labels = None if dataset.classes is None else torch.arange(IMAGES, device=device) % dataset.classes
    split = Split(images, labels)
    return ImageData(split, split, "", dataset.classes)


@contextmanager
def watched() -> Iterator[None]:
    """Restore the process's global settings after the block; warnings are left to the run itself.

    Raises:
        InputError: the block changed some.
    """
    settings = GlobalState()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        change = settings.change("a training step")
    if change:
        raise InputError(change)
