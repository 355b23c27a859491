"""Load the trained networks of a run from its folder: discriminator, generator and its average, last and best."""

import copy
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import constrain, with_start
from lipschitz.errors import InputError, first_line
from lipschitz.files import read_bytes
from lipschitz.models.base import PairModel
from lipschitz.random_streams import seeded, stream
from lipschitz.sweep.definition.recorded_run import RecordedRun, recorded_run
from lipschitz.sweep.run_folder import OVER, RunFolder
from lipschitz.tasks.generation.samples import BATCH, generate

Which = Literal["last", "best"]
WHICH: tuple[Which, ...] = ("last", "best")


@dataclass(frozen=True)
class TrainedNetworks:
    """The networks of a run at one step, in eval mode, without gradients of their parameters."""

    step: int
    """Iterations that they were trained for."""
    networks: Mapping[str, nn.Module]
    """By name: ``discriminator``, ``generator`` and, where the run kept it, ``average``; or ``critic``; or
    ``classifier``."""

    @property
    def discriminator(self) -> nn.Module:
        """The network that the constraints bound, samples ``(n, *shape)`` -> ``(n, 1)``; of a classifier the logits."""
        return next(iter(self.networks.values()))

    @property
    def generator(self) -> nn.Module:
        """The generator, latents ``(n, latent)`` -> samples ``(n, *shape)``, images in [-1, 1].

        Raises:
            InputError: the run has none.
        """
        return self._of_gan("generator", "a run of the task generation")

    @property
    def average(self) -> nn.Module:
        """The moving average of the generator's weights, with batch statistics of its own.

        Raises:
            InputError: the run kept none.
        """
        return self._of_gan("average", "a run with training: {ema: ...}")

    def _of_gan(self, name: str, allowed: str) -> nn.Module:
        if name not in self.networks:
            raise InputError(f"the run has no {name}, only {', '.join(self.networks)}; allowed: {allowed}")
        return self.networks[name]


class TrainedRun:
    """A run that is over: what it was, and its networks; `load_run` reads it.

    Attributes:
        id: of the run.
        definition: ``run.json``: labels, seed, steps, and every field of the run.
        result: ``result.json``: status, metrics of the last and the best step.
        shape: shape of one sample.
        classes: number of classes, if the generator takes a label; else None.
        latent: dimension of the generator's Gaussian input; None without a generator.
        device: of the networks.
    """

    def __init__(self, run: RunFolder, definition: dict[str, Any], weights: Mapping[str, Any], device: torch.device):
        """Build the networks of ``definition``; ``weights`` is the content of ``networks.pt``.

        Raises:
            InputError: a class of the run is not here, or has changed.
        """
        self.id = run.path.resolve().name
        self.definition: Mapping[str, Any] = definition
        self.result: Mapping[str, Any] = run.result() or {}
        self.device = device
        self._weights = weights
        recorded = recorded_run(definition)
        self.shape = recorded.dataset.shape
        conditional = recorded.task.has_generator and recorded.model.is_conditional()
        self.classes = recorded.dataset.classes if conditional else None
        self._initial, self.latent = _built(recorded, next(iter(weights["last"])))

    @cached_property
    def last(self) -> TrainedNetworks:
        """The networks after the last step."""
        return self._networks("last")

    @cached_property
    def best(self) -> TrainedNetworks:
        """The networks at the run's best step, which `result` names with the metric that chose it.

        Raises:
            InputError: the run has no best step, as one that diverged.
        """
        return self._networks("best")

    @property
    def discriminator(self) -> nn.Module:
        """`TrainedNetworks.discriminator` after the last step."""
        return self.last.discriminator

    @property
    def generator(self) -> nn.Module:
        """`TrainedNetworks.generator` after the last step."""
        return self.last.generator

    @property
    def average(self) -> nn.Module:
        """`TrainedNetworks.average` after the last step."""
        return self.last.average

    def has(self, which: str) -> bool:
        """Return whether there are networks of the ``last`` or the ``best`` step."""
        return which in self._weights

    def at(self, which: str) -> TrainedNetworks:
        """Return the networks of the ``last`` or the ``best`` step.

        Raises:
            InputError: there are none.
        """
        if which not in WHICH:
            raise InputError(f"which '{which}' is unknown; allowed: {', '.join(WHICH)}")
        return self.best if which == "best" else self.last

    def generate(
        self, n: int, *, which: str = "last", average: bool = False, labels: Tensor | None = None, seed: int = 0
    ) -> Tensor:
        """Return ``n`` generated samples ``(n, *shape)``, float32; images are in [-1, 1].

        The same seed gives the same latents for every run and step, so that methods can be compared sample by sample.

        Args:
            n: number of samples, at least 1.
            which: the step, ``last`` or ``best``.
            average: whether to use the moving average of the generator.
            labels: classes ``(n,)`` of a conditional run, int64; `labels` by default.
            seed: of the latents.

        Raises:
            InputError: the run has no such generator, or an argument is wrong.
        """
        return torch.cat(list(self.batches(n, which=which, average=average, labels=labels, seed=seed)))

    def batches(
        self, n: int, *, which: str = "last", average: bool = False, labels: Tensor | None = None, seed: int = 0
    ) -> Iterator[Tensor]:
        """Yield what `generate` returns in batches, for more samples than fit into memory."""
        networks = self.at(which)
        generator = networks.average if average else networks.generator
        if n < 1:
            raise InputError(f"cannot generate {n} samples; allowed: 1 or more")
        assert self.latent is not None
        # Drawn on the CPU: the same numbers on every device.
        latents = torch.randn(n, self.latent, generator=stream(seed, "generate"))
        inputs = [latents] if (given := self._checked(n, labels)) is None else [latents, given]
        for part in zip(*(torch.split(rows, BATCH) for rows in inputs), strict=True):
            yield generate(generator, *(rows.to(self.device) for rows in part))

    def labels(self, n: int) -> Tensor | None:
        """Return the classes ``(n,)`` of the samples that `generate` makes by default; None if it takes none."""
        return None if self.classes is None else torch.arange(n) % self.classes

    def _checked(self, n: int, given: Tensor | None) -> Tensor | None:
        if given is None or self.classes is None:
            if given is not None:
                raise InputError(f"{self.id}: its generator takes no labels; allowed: labels=None")
            return self.labels(n)
        if given.shape != (n,) or given.dtype != torch.int64 or not bool(((given >= 0) & (given < self.classes)).all()):
            raise InputError(f"{self.id}: expected {n} labels from 0 to {self.classes - 1}, int64")
        return given

    def _networks(self, which: Which) -> TrainedNetworks:
        if which not in self._weights:
            raise InputError(f"{self.id}: it has no {which} step ({self.result.get('status')}); allowed: last")
        networks = {}
        for name, state in self._weights[which].items():
            net = copy.deepcopy(self._initial["generator" if name == "average" else name])
            try:
                net.load_state_dict(state)
            except RuntimeError as error:
                raise InputError(f"{self.id}: its {name} is of another version: {first_line(error)}") from None
            networks[name] = net.to(self.device).eval().requires_grad_(False)
        return TrainedNetworks(int(self._weights["step"][which]), networks)


def load_run(folder: str | Path, device: str | torch.device = "cpu") -> TrainedRun:
    """Load the networks of a run that is over, from its folder ``results/<sweep>/runs/<run id>``.

    The networks are built from ``run.json`` and get the weights in ``networks.pt``, which are read without executing
    code. A class from a file of yours is loaded from where the run found it, and only if the file has not changed.

    Raises:
        InputError: there is no such run, it is not over, a file of it is damaged, or it has no networks.
    """
    run = RunFolder(Path(folder))
    definition = _definition(run)
    for path, reason in run.damage(networks=run.networks.exists()):
        raise InputError(f"{path}: damaged: {reason}")
    if (status := run.status()) not in OVER:
        raise InputError(f"{run.path}: the run is {status}; its networks are written when it ends")
    weights = _weights(run.networks)
    try:
        return TrainedRun(run, definition, weights, torch.device(device))
    except InputError as error:
        raise InputError(f"{run.path}: {error}") from None


def _weights(path: Path) -> dict[str, Any]:
    try:
        weights: dict[str, Any] = torch.load(io.BytesIO(read_bytes(path)), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: not there; it may not have been copied, and early versions wrote none") from None
    except Exception as error:  # torch.load raises nearly anything on a file that it did not write.
        raise InputError(f"{path}: cannot be read: {first_line(error)}") from None
    return weights


def _definition(run: RunFolder) -> dict[str, Any]:
    try:
        return run.definition()
    except FileNotFoundError:
        hint = "; give the folder of one run, runs/<run id>" if (run.path / "sweep.json").exists() else ""
        raise InputError(f"{run.path}: no run here (no run.json){hint}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{run.path / 'run.json'}: cannot be read: {first_line(error)}") from None


def _built(run: RecordedRun, role: str) -> tuple[dict[str, nn.Module], int | None]:
    """Return the networks as constrained, by name, with initial weights, and the dimension of the latents, if any.

    ``role`` is what the bounded network is called.
    """
    model = with_start(run.model, run.constraints)
    shape, classes = run.dataset.shape, run.dataset.classes
    # Torch's global generator is put back afterwards.
    with seeded(0, "weights"):
        if not run.task.has_generator:
            net = constrain(run.task.network(model, run.dataset), run.constraints, shape)
            return {role: net}, None
        assert isinstance(model, PairModel)
        pair = model.build(shape, classes if model.is_conditional() else None)
        discriminator = constrain(pair.discriminator, run.constraints, shape)
        generator = constrain(pair.generator, run.generator_constraints, (pair.latent,))
    return {role: discriminator, "generator": generator}, pair.latent
