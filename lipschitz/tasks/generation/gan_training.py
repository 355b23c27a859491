"""Training of a GAN: alternating updates of a discriminator, which the constraint bounds, and a generator."""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.constraints.base import uncapturable_reason, with_start
from lipschitz.datasets.base import Data, ImageData
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.models.base import PairModel
from lipschitz.models.dropout import Dropout, dropout_from
from lipschitz.observe import NamedRings
from lipschitz.random_streams import RandomStreams, seeded
from lipschitz.tasks.generation.evaluation import EvaluationState, Evaluator
from lipschitz.tasks.generation.generator import Generator
from lipschitz.tasks.losses import GANLoss
from lipschitz.tasks.measurement import DiscriminatorMeasurement, with_exact_constant
from lipschitz.tasks.memory_format import to_memory_format
from lipschitz.tasks.player import Discriminator, Player, players_are_finite
from lipschitz.tasks.precision import forward_precision
from lipschitz.tasks.terms import Terms
from lipschitz.training.task import BestStepRule

STREAMS = ("data", "latents_discriminator", "latents_generator", "constraint")
LABELS = "labels_generator"
"""The additional random stream of a conditional run."""
AUGMENTATION = "augmentation"
"""The additional random stream of a run that augments images."""
DROPOUT = "dropout"
"""The additional random stream of a discriminator with dropout."""
REAL = "data_generator"
"""The additional random stream of a loss whose generator update sees real samples."""


class GANTraining:
    """One GAN in training: a generator and a discriminator of the terms' model, each bounded by its constraints.

    Two of them that differ only in their constraints start from bit-identical raw parameters, and see the same batches
    and the same noise.

    In a conditional run the generated samples of a discriminator update have the classes of the real ones, row by row,
    so that a penalty interpolates between two samples of one class. The classes of a generator update are drawn with
    their frequencies in the training data. If the loss compares with real samples there, too, they are those of newly
    drawn real samples.
    """

    def __init__(self, data: Data, terms: Terms) -> None:
        model = with_start(terms.model, terms.constraints)
        assert isinstance(model, PairModel)
        assert isinstance(terms.loss, GANLoss)
        self._loss = terms.loss
        self.device = terms.device
        self.selection = BestStepRule.by(terms.selection, terms.evaluation.metrics)
        self._data, self._terms = data, terms
        self._classes = data.classes if terms.model.is_conditional() and isinstance(data, ImageData) else None
        with seeded(terms.seed, "weights"):
            networks = model.build(data.shape, self._classes)
        self._drops_out = any(isinstance(module, Dropout) for module in networks.discriminator.modules())
        self._streams = RandomStreams(terms.seed, self._stream_names(), terms.device)
        self._latent = networks.latent
        self._iterations = 0
        rng = self._streams["constraint"]
        self._discriminator = Discriminator(networks.discriminator, data.shape, terms, rng)
        self._generator = Generator(networks.generator, networks.latent, terms)
        self._players: dict[str, Player] = {"discriminator": self._discriminator, "generator": self._generator}
        self._observed = NamedRings(terms.device, {*CATALOGUE, *(one.label() for one in terms.evaluation.metrics)})
        self._evaluator = Evaluator(data, terms, latent=networks.latent, classes=self._classes)
        self._kept = EvaluationState(self._evaluator.samples_from_fixed_latents(self.generator), {}, {}, {})
        self._measured = DiscriminatorMeasurement({}, {}, {}, {})

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
            player.decay_learning_rate(progress)
        for _ in range(self._terms.setting.n_dis_at(self._iterations)):
            self.discriminator_step()
        self.generator_step()
        self._iterations += 1

    def discriminator_step(self) -> None:
        """Make one update of the discriminator on a batch of real and a batch of newly generated samples."""
        with self._observed.recording():
            self._discriminator.update_constraints_early()
            n = self._terms.training.batch_size
            real, *labels = self._real_batch(n, "data")
            latents = self._latents("latents_discriminator", n)
            with torch.no_grad(), forward_precision(self._terms.training.precision, self.device, self.generator):
                generated = self._generator.generate(latents, *labels)
            real, generated = self._augmented(real), self._augmented(generated.to(real.dtype), generated=True)
            with dropout_from(self._dropout_stream()):
                self._discriminator.step(real, generated, *labels)

    def generator_step(self) -> None:
        """Make one update of the generator; the discriminator's parameters and its constraints' state do not change.

        The running statistics of batch normalisation in the discriminator do, as in any forward pass of training.
        """
        with self._observed.recording():
            self._discriminator.set_requires_grad(False)
            self._discriminator.compute_sigmas_early()
            self._generator.update_constraints()
            n = self._terms.training.generator_batch_size or self._terms.training.batch_size
            real, labels = self._compared(n)
            latents = self._latents("latents_generator", n)
            with forward_precision(self._terms.training.precision, self.device, self.generator):
                generated = self._generator.generate(latents, *labels)
            generated = self._augmented(generated, generated=True)
            compared = [self._augmented(one) for one in real]
            with dropout_from(self._dropout_stream()):
                outputs = self._discriminator.judge(generated, *labels, real=compared)
            loss = self._loss.generator(*(one.to(latents.dtype) for one in outputs))
            self._generator.losses.write(loss)
            self._generator.update(loss)

    def random_streams(self) -> Sequence[torch.Generator]:
        """Return every generator that a step draws from."""
        return self._streams.generators()

    def uncapturable_reason(self) -> str | None:
        """Return why a CUDA graph cannot capture a step, or None if it can."""
        if isinstance(self._data, ImageData) and self._data.is_streamed:
            return "its images are streamed from the host"
        if self._terms.setting.n_dis_start is not None:
            return "its first iterations have another number of discriminator updates"
        return uncapturable_reason([*self._terms.constraints, *self._terms.generator_constraints])

    def parts(self) -> Mapping[str, Callable[[], None]]:
        """Return the two kinds of update of an iteration, by metric name."""
        return {"ms_discriminator_step": self.discriminator_step, "ms_generator_step": self.generator_step}

    def is_finite(self) -> bool:
        """Return whether the last losses and all parameters and buffers are finite."""
        return players_are_finite(self._players.values())

    def evaluate(self, draw: str) -> dict[str, float]:
        """Measure quality, σ, gradient norms and losses, with random numbers of the evaluation stream ``draw``."""
        self._measured = self._evaluator.evaluate(self._networks(), self._kept, draw)
        if self._terms.evaluation.exact == "every":
            self._measure_exactly()
        losses = [player.measured_losses(name) for name, player in self._players.items()]
        return dict(ChainMap(*losses, self._measured.values)) | self._observed.means()

    def evaluate_at_end(self) -> dict[str, float]:
        """Compute the discriminator's exact Lipschitz constant, if it is wanted after the last step alone."""
        return self._measure_exactly() if self._terms.evaluation.exact == "last" else {}

    def _measure_exactly(self) -> dict[str, float]:
        self._measured, values = with_exact_constant(self._measured, self.discriminator, self._data.shape)
        return values

    def keep_for_next_evaluation(self) -> None:
        """Keep spectra, search starts, and samples of the generator as it is now."""
        self._kept = self._kept.after(self._evaluator.samples_from_fixed_latents(self.generator), self._measured)

    def facts(self) -> dict[str, Any]:
        """Return each metric's floor, real against real, the metrics' protocols, and those of the last measurement."""
        return {**self._evaluator.facts(self.generator), "measurement": self._kept.facts}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return samples, spectra and, for points, the discriminator's surface, as the report draws them."""
        return self._evaluator.arrays(self._networks(), self._kept)

    def networks(self) -> dict[str, nn.Module]:
        """Return discriminator, generator and, where one is kept, the average of the generator, as ``average``.

        The average has batch statistics of its own, as where it is judged.
        """
        networks = self._networks()
        if "average" in networks:
            networks["average"] = self._evaluator.with_own_statistics(networks["average"], "networks")
        return networks

    def _networks(self) -> dict[str, nn.Module]:
        averages = {"average": self._generator.average} if self._generator.average is not None else {}
        return {name: player.net for name, player in self._players.items()} | averages

    def state_dict(self) -> dict[str, Any]:
        """Return networks, optimisers, losses, random streams, observed scalars, and what the last evaluation kept."""
        return {
            "players": {name: player.state_dict() for name, player in self._players.items()},
            "streams": self._streams.state_dict(),
            "memory": self._kept._asdict(),
            **({} if self._terms.setting.n_dis_start is None else {"iterations": self._iterations}),
            **self._observed.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name, player in self._players.items():
            player.load_state_dict(state["players"][name])
        self._streams.load_state_dict(state["streams"])
        self._iterations = state.get("iterations", 0)
        self._load_evaluation_state(state)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that `evaluate` reads."""
        return {
            "players": {name: player.snapshot() for name, player in self._players.items()},
            "memory": self._kept._asdict(),
            **self._observed.state_dict(),
        }

    def load_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Restore a snapshot; optimisers and random streams are unchanged."""
        for name, player in self._players.items():
            player.load_snapshot(snapshot["players"][name])
        self._load_evaluation_state(snapshot)

    def _load_evaluation_state(self, state: dict[str, Any]) -> None:
        # Checkpoints of earlier versions have no facts.
        kept = EvaluationState(**{"facts": {}} | state["memory"])
        self._kept = kept._replace(old=kept.old.to(self.device))
        self._observed.load_state_dict(state)

    def _stream_names(self) -> Iterator[str]:
        """Yield the names of the random streams that a step draws from."""
        yield from STREAMS
        if self._loss.generator_sees_real:
            yield REAL
        elif self._classes is not None:
            yield LABELS
        if self._terms.training.augment:
            yield AUGMENTATION
        if self._drops_out:
            yield DROPOUT

    def _dropout_stream(self) -> torch.Generator | None:
        return self._streams[DROPOUT] if self._drops_out else None

    def _real_batch(self, n: int, stream: str) -> tuple[Tensor, ...]:
        """Return ``n`` real samples in the terms' memory format and, in a conditional run, their labels."""
        rng = self._streams[stream]
        if self._classes is None:
            return (to_memory_format(self._data.batch(n, rng), self._terms.training.layout),)
        assert isinstance(self._data, ImageData)
        images, labels = self._data.labelled_batch(n, rng)
        return to_memory_format(images, self._terms.training.layout), labels

    def _compared(self, n: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return what a generator update takes from the data: real samples, if the loss sees them, and labels, if any.

        Generated samples have the labels ``(n,)``: those of the real samples, or drawn with the data's frequencies.
        """
        if self._loss.generator_sees_real:
            real, *labels = self._real_batch(n, REAL)
            return (real,), tuple(labels)
        if self._classes is None:
            return (), ()
        assert isinstance(self._data, ImageData)
        return (), (self._data.draw_classes(n, self._streams[LABELS]),)

    def _augmented(self, images: Tensor, *, generated: bool = False) -> Tensor:
        """Return what the discriminator judges of ``images``: augmented in float32, and in the terms' memory format."""
        chosen = [one for one in self._terms.training.augment if one.on_generated or not generated]
        if not chosen:
            return images
        images = images.float()
        for augmentation in chosen:
            images = augmentation.augment(images, self._streams[AUGMENTATION])
        return to_memory_format(images, self._terms.training.layout)

    def _latents(self, stream: str, n: int) -> Tensor:
        return torch.randn(n, self._latent, generator=self._streams[stream], device=self.device)
