"""Predict the time of training and of evaluation on a GPU from counted operations and assumed rates. Nothing is timed.

A training step is made on the meta device. Each operator takes the longest of its arithmetic, its memory traffic and a
kernel's launch inside of a CUDA graph (Williams et al. 2009, Roofline, doi:10.1145/1498765.1498785). What runs on a
side stream takes only the time by which it is longer than the work beside it. An evaluation is the features of its
generated images, the metrics of its protocols, and the measurement of the discriminator.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from lipschitz.extensions.origin import origin_of
from lipschitz.features.inception import DIMENSIONS
from lipschitz.features.protocols import Protocol
from lipschitz.sweep.definition.dry_step import META, Configuration, build_without_data, is_from_outside, watched
from lipschitz.sweep.definition.run import Run
from lipschitz.tasks.precision import Precision
from lipschitz.tasks.side_stream import Branch, notified
from lipschitz.tasks.terms import Evaluation


class Rates(NamedTuple):
    """What a device is assumed to reach. Operations and bytes are per second."""

    name: str
    float32: float
    """Floating-point operations of convolutions and matrix products."""
    tf32: float
    bf16: float
    float64: float
    memory: float
    """Bytes of tensors that do not fit into the cache."""
    cache: float
    """Bytes of tensors that do."""
    cache_size: float
    """Bytes of an operator's tensors up to which they are taken to be in the cache."""
    kernel: float
    """Seconds of the shortest kernel inside of a CUDA graph, with the gap before it."""
    decompositions: float
    """Floating-point operations of eigenvalues and singular values in float64."""
    measurement: float
    """Seconds of the measurement of a discriminator on images."""

    def products(self, precision: Precision) -> float:
        """Return the operations of products in ``precision``."""
        return {"float32": self.float32, "tf32": self.tf32, "bf16": self.bf16}[precision]


H200 = Rates(
    "one H200",
    float32=41e12,
    tf32=157e12,
    bf16=260e12,
    float64=22e12,
    memory=3.7e12,
    cache=8e12,
    cache_size=40e6,
    kernel=2.2e-6,
    decompositions=1e12,
    measurement=10.0,
)
"""An assumption for one NVIDIA H200, on which nothing was measured: three quarters of its peak in float32, 45 % of the
rate of a large product in TF32, 2.2 µs a kernel."""

INCEPTION_OPERATIONS = 11.4e9
"""Of the features of one image: two for each of 5.7e9 multiplications of Inception v3 at 299x299."""
FRECHET_OPERATIONS = 50
"""Operations of a Fréchet distance besides the moments, in cubes of the features' dimension."""


class Prediction(NamedTuple):
    """Predicted seconds of runs, each alone on one worker."""

    training: float
    evaluation: float
    unpredicted: int
    """Runs that are in neither: not on images, with code from outside the package, or with a step that needs values."""


def predict(runs: Iterable[Run], rates: Rates = H200) -> Prediction:
    """Return the predicted seconds of training and of evaluation of ``runs``."""
    training = evaluation = 0.0
    unpredicted = 0
    # Once a configuration: a sweep may have thousands of seeds.
    by_configuration: dict[str, float | None] = {}
    for run in runs:
        if run.configuration not in by_configuration:
            by_configuration[run.configuration] = iteration_seconds(run, rates)
        seconds = by_configuration[run.configuration]
        if seconds is None:
            unpredicted += 1
            continue
        steps = run.training.steps_at(1e3 * seconds)
        training += steps * seconds
        evaluation += evaluations(steps, run.evaluation.every) * evaluation_seconds(run.evaluation, rates)
    return Prediction(training, evaluation, unpredicted)


def evaluations(steps: int, every: int) -> int:
    """Return how often a run is evaluated: at the start, after each ``every`` steps, at the end, and its best step."""
    return 2 + -(-steps // every)


def evaluation_seconds(evaluation: Evaluation, rates: Rates = H200) -> float:
    """Return the predicted seconds of one evaluation of a generator of images.

    Not counted: generating the images, and the features and metrics of a reference classifier.
    """
    images: dict[tuple[str, Precision], int] = {}
    for protocol in evaluation.protocols:
        images[protocol.embedding] = max(images.get(protocol.embedding, 0), protocol.n_generated)
    features = sum(INCEPTION_OPERATIONS * n / rates.products(precision) for (_, precision), n in images.items())
    metrics = sum(_metric_seconds(protocol, rates) for protocol in evaluation.protocols)
    return features + metrics + rates.measurement


def _metric_seconds(protocol: Protocol, rates: Rates) -> float:
    """Return the time of the moments, of all inner products of two sets, and of the Fréchet distance."""
    moments = 2 * protocol.n_fake * DIMENSIONS**2
    inner_products = 3 * 2 * protocol.n_compared**2 * DIMENSIONS
    return (moments + inner_products) / rates.float64 + FRECHET_OPERATIONS * DIMENSIONS**3 / rates.decompositions


def iteration_seconds(run: Run, rates: Rates = H200) -> float | None:
    """Return the predicted seconds of one captured iteration, or None if its operations cannot be counted."""
    parts = part_seconds(run, rates)
    if parts is None:
        return None
    return sum(each * (run.setting.n_dis if "discriminator" in part else 1) for part, each in parts.items())


def part_seconds(run: Run, rates: Rates = H200) -> dict[str, float] | None:
    """Return the predicted seconds of each captured part of an iteration by name, see `iteration_seconds`."""
    if run.dataset.kind in ("points", "pairs"):
        return None
    # The budget, and when a run is evaluated, do not change a step; nor does precision change its operations.
    training = run.training.model_copy(update={"steps": 1, "seconds": None, "precision": "float32", "ema": None})
    evaluation = run.evaluation.model_copy(update={"every": 1, "samples": 2, "gradient_samples": 1})
    parts = _operators(
        Configuration(
            run.task, run.dataset, run.model, run.constraints, run.loss, training, evaluation, run.generator_constraints
        )
    )
    if parts is None:
        return None
    return {part: seconds_of(operators, rates, run.training.precision) for part, operators in parts.items()}


class Operator(NamedTuple):
    """What one operator of a step does."""

    operations: int
    """Of convolutions and matrix products; others are bound by memory."""
    size: int
    """Bytes of all tensors that it reads or writes."""
    is_float64: bool
    branch: Branch
    """Whether it runs on a side stream, or meanwhile."""

    def seconds(self, rates: Rates, precision: Precision) -> float:
        """Return its predicted time."""
        arithmetic = self.operations / (rates.float64 if self.is_float64 else rates.products(precision))
        traffic = self.size / (rates.memory if self.size > rates.cache_size else rates.cache)
        return max(arithmetic, traffic, rates.kernel)


def seconds_of(operators: Iterable[Operator], rates: Rates, precision: Precision) -> float:
    """Return the predicted time of one part; the work between all its forks and joins is taken together."""
    branches: dict[Branch, float] = {"alone": 0.0, "beside": 0.0, "meanwhile": 0.0}
    for operator in operators:
        branches[operator.branch] += operator.seconds(rates, precision)
    return branches["alone"] + max(branches["beside"], branches["meanwhile"])


@cache
def _operators(configuration: Configuration) -> dict[str, list[Operator]] | None:
    """Return the operators of each part of an iteration, or None if they cannot be counted without values."""
    if origin_of(type(configuration.task)) is not None or is_from_outside(configuration):
        return None
    found = {}
    try:
        with watched():
            for part, call in build_without_data(configuration, META).parts().items():
                counter = _Counter()
                with notified(counter.set_branch), counter:
                    call()
                found[part] = counter.operators
    except (Exception, SystemExit):
        return None
    return found


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators that launch a kernel: those that return no view and allocate more than memory."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: list[Operator] = []
        self._branch: Branch = "alone"

    def set_branch(self, branch: Branch) -> None:
        """Count the operators that follow on ``branch``."""
        self._branch = branch

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view or func.overloadpacket.__name__.startswith(("empty", "new_empty", "detach")):
            return result
        tensors = {id(leaf): leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)}
        formula: Callable[..., Any] | None = flop_registry.get(func.overloadpacket)
        operations = int(formula(*args, **(kwargs or {}), out_val=result)) if formula else 0
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        is_float64 = any(tensor.dtype == torch.float64 for tensor in tensors.values())
        self.operators.append(Operator(operations, size, is_float64, self._branch))
        return result
