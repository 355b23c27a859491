"""Generation: alternating training of a GAN, in which the discriminator's constraint is the one thing that changes."""

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.constraints.base import why_uncaptured
from lipschitz.datasets.base import Data, ImageData
from lipschitz.metrics.catalogue import metric_of
from lipschitz.models.base import PairModel
from lipschitz.random_streams import seeded, stream
from lipschitz.tasks.generation.evaluation import Evaluator, Memory
from lipschitz.tasks.measurement import Measured
from lipschitz.tasks.memory_format import laid_out
from lipschitz.tasks.player import Discriminator, Generator, Player, are_finite
from lipschitz.tasks.precision import forward_passes
from lipschitz.tasks.terms import Terms
from lipschitz.training.task import Selection

STREAMS = ("data", "latents_discriminator", "latents_generator", "constraint")
LABELS = "labels_generator"
"""The stream that a conditional run has besides."""


class Generation:
    """One GAN: a generator and a discriminator of the terms' model, each bounded by its constraints.

    Two of them that differ in their constraints alone start from bit-identical raw parameters, and see the same batches
    and the same noise.

    In a conditional run the samples generated for the discriminator are of the classes of the real ones, row by row:
    a penalty's interpolate lies between two samples of one class. The generator learns on classes as frequent as in
    training.
    """

    def __init__(self, data: Data, terms: Terms) -> None:
        assert isinstance(terms.model, PairModel)
        self.device = terms.device
        better = metric_of(terms.selection, terms.evaluation.metrics).better
        self.selection = Selection(terms.selection, better or "lower")
        self._data, self._terms = data, terms
        self._classes = data.classes if terms.model.is_conditional() and isinstance(data, ImageData) else None
        names = STREAMS if self._classes is None else (*STREAMS, LABELS)
        self._streams = {name: stream(terms.seed, name, terms.device) for name in names}
        with seeded(terms.seed, "weights"):
            networks = terms.model.build(data.shape, self._classes)
        self._latent = networks.latent
        rng = self._streams["constraint"]
        self._discriminator = Discriminator(networks.discriminator, data.shape, terms, rng)
        self._generator = Generator(networks.generator, networks.latent, terms)
        self._players: dict[str, Player] = {"discriminator": self._discriminator, "generator": self._generator}
        self._evaluator = Evaluator(data, terms, latent=networks.latent, classes=self._classes)
        self._memory = Memory(self._evaluator.remember(self.generator), {}, {})
        self._measured = Measured({}, {}, {})

    @property
    def generator(self) -> nn.Module:
        """The generator, latents ``(n, latent)`` -> ``(n, *shape)``."""
        return self._generator.net

    @property
    def discriminator(self) -> nn.Module:
        """The discriminator as constrained, ``(n, *shape)`` -> ``(n, 1)``."""
        return self._discriminator.net

    def step(self, progress: float | Tensor) -> None:
        """Make n_dis discriminator updates and one generator update."""
        for player in self._players.values():
            player.decay(progress)
        for _ in range(self._terms.setting.n_dis):
            self.discriminator_step()
        self.generator_step()

    def discriminator_step(self) -> None:
        """Make one update of the discriminator on a batch of real and a batch of freshly generated samples."""
        real, *labels = self._real()
        latents = self._latents("latents_discriminator", self._terms.training.batch_size)
        with torch.no_grad(), forward_passes(self._terms.training.precision, self.device, self.generator):
            generated = self._generator.generate(latents, *labels)
        self._discriminator.step(real, generated.to(real.dtype), *labels)

    def generator_step(self) -> None:
        """Make one update of the generator; the discriminator's parameters and its method's state stay as they are.

        Only the running statistics of batch normalisation see these samples too, as in any forward pass of training.
        """
        self._discriminator.learns(False)
        self._generator.prepare()
        n = self._terms.training.generator_batch_size or self._terms.training.batch_size
        labels = self._classes_to_learn(n)
        latents = self._latents("latents_generator", n)
        with forward_passes(self._terms.training.precision, self.device, self.generator, self.discriminator):
            judged = self.discriminator(self._generator.generate(latents, *labels), *labels)
        loss = self._terms.loss.generator(judged.to(latents.dtype))
        self._generator.losses.write(loss)
        self._generator.update(loss)

    def random_streams(self) -> Sequence[torch.Generator]:
        """Return the generators of all that a step draws."""
        return list(self._streams.values())

    def why_uncaptured(self) -> str | None:
        """Return why no CUDA graph can hold a step, or None where one may."""
        if isinstance(self._data, ImageData) and self._data.is_streamed:
            return "its images are streamed from the host"
        return why_uncaptured([*self._terms.constraints, *self._terms.generator_constraints])

    def parts(self) -> Mapping[str, Callable[[], None]]:
        """Return the two updates that an iteration is made of."""
        return {"ms_discriminator_step": self.discriminator_step, "ms_generator_step": self.generator_step}

    def is_finite(self) -> bool:
        """Say whether the last losses, every parameter and all that a method or a norm layer keeps are finite."""
        return are_finite(self._players.values())

    def evaluate(self, draw: str) -> dict[str, float]:
        """Measure quality, σ, gradient norms and losses; randomness comes from the evaluation stream of ``draw``."""
        self._measured = self._evaluator.evaluate(self._networks(), self._memory, draw)
        losses = [player.measured_losses(name) for name, player in self._players.items()]
        return dict(ChainMap(*losses, self._measured.values))

    def end_interval(self) -> None:
        """Keep for the next evaluation what the last one left, and samples of the generator as it is now."""
        self._memory = self._memory.after(self._evaluator.remember(self.generator), self._measured)

    def facts(self) -> dict[str, Any]:
        """Return the floor of each quality metric, real against real, and the metrics' protocols."""
        return self._evaluator.facts()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return samples, spectra and, for points, the value surface, as the report draws them."""
        return self._evaluator.arrays(self._networks(), self._memory)

    def state_dict(self) -> dict[str, Any]:
        """Return networks, optimisers, random streams, last losses, and what evaluations left."""
        return {
            "players": {name: player.state_dict() for name, player in self._players.items()},
            "streams": {name: rng.get_state() for name, rng in self._streams.items()},
            "memory": self._memory._asdict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` returned."""
        for name, player in self._players.items():
            player.load_state_dict(state["players"][name])
        for name, rng in self._streams.items():
            rng.set_state(state["streams"][name])
        self._remember(state["memory"])

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all that `evaluate` looks at: networks, last losses, what earlier evaluations left."""
        return {
            "players": {name: player.snapshot() for name, player in self._players.items()},
            "memory": self._memory._asdict(),
        }

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Put back what a snapshot holds; optimisers and streams stay."""
        for name, player in self._players.items():
            player.load_snapshot(snapshot["players"][name])
        self._remember(snapshot["memory"])

    def _remember(self, memory: dict[str, Any]) -> None:
        kept = Memory(**memory)
        self._memory = kept._replace(old=kept.old.to(self.device))

    def _networks(self) -> dict[str, nn.Module]:
        averages = {"average": self._generator.average} if self._generator.average is not None else {}
        return {name: player.net for name, player in self._players.items()} | averages

    def _real(self) -> tuple[Tensor, ...]:
        """Return a batch of real samples, in the terms' layout, and, in a conditional run, their labels."""
        n, rng = self._terms.training.batch_size, self._streams["data"]
        if self._classes is None:
            return (laid_out(self._data.batch(n, rng), self._terms.training.layout),)
        assert isinstance(self._data, ImageData)
        images, labels = self._data.labelled_batch(n, rng)
        return laid_out(images, self._terms.training.layout), labels

    def _classes_to_learn(self, n: int) -> tuple[Tensor, ...]:
        """Return, in a conditional run, the labels of the generator's next batch."""
        if self._classes is None:
            return ()
        assert isinstance(self._data, ImageData)
        return (self._data.classes_drawn(n, self._streams[LABELS]),)

    def _latents(self, name: str, n: int) -> Tensor:
        return torch.randn(n, self._latent, generator=self._streams[name], device=self.device)
