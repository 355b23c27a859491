"""Evaluation of a GAN: what is measured of it, and the arrays that the report draws.

An evaluation draws from random streams of its own, and changes neither networks nor training state.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.datasets.base import Data, ImageData, PointData
from lipschitz.metrics.catalogue import metric_of
from lipschitz.random_streams import stream
from lipschitz.tasks.generation.generator_gradient import generator_gradient
from lipschitz.tasks.generation.inception_quality import InceptionQuality
from lipschitz.tasks.generation.quality import Quality, quality_of
from lipschitz.tasks.generation.samples import BATCH, class_sample_arrays, generate, sample_arrays
from lipschitz.tasks.generation.standing_statistics import (
    BATCHES,
    has_running_statistics,
    with_standing_statistics,
)
from lipschitz.tasks.losses import GANLoss
from lipschitz.tasks.measurement import DiscriminatorMeasurement, append_spectra, measure_discriminator
from lipschitz.tasks.surfaces import spectrum_arrays, surface_arrays
from lipschitz.tasks.terms import Terms

EMA = "ema"
"""Suffix of the metrics of the averaged generator."""


class EvaluationState(NamedTuple):
    """What an evaluation keeps for the next one and for the report; part of a checkpoint, by these names."""

    old: Tensor
    """Samples ``(n, ...)`` of the generator at the last evaluation; in a conditional run equally many of each class."""
    starts: dict[str, Tensor]
    """By layer, the vectors from which the next search for σ starts."""
    spectra: dict[str, Tensor]
    """By layer, its singular values at each evaluation so far, ``(evaluations, k)`` float32."""
    facts: dict[str, Any]
    """`DiscriminatorMeasurement.facts` of the last evaluation."""

    def after(self, old: Tensor, measured: DiscriminatorMeasurement) -> "EvaluationState":
        """Return the state after the evaluation that ``measured``, with samples ``old`` of its generator."""
        spectra = append_spectra(self.spectra, measured.spectra)
        return EvaluationState(old, measured.starts, spectra, measured.facts)


class Evaluator:
    """Measures a generator ``(n, latent)`` -> ``(n, *shape)`` and a discriminator of one data set, for one seed.

    Args:
        data: the data set, on the device of both networks.
        terms: of the run; a draw named ``d`` is its seed's random stream ``evaluation/d``.
        latent: dimensions of the generator's Gaussian input.
        classes: in a conditional run the number of classes; generated samples then have the classes of the real ones.
    """

    def __init__(self, data: Data, terms: Terms, *, latent: int, classes: int | None = None) -> None:
        self._data, self._terms, self._latent, self._classes = data, terms, latent, classes
        self._device = terms.device
        # At most as many as each part of the data has: the floor compares equally many training and held-out images.
        sizes = data.sizes.values() if isinstance(data, ImageData) else ()
        self._samples = min([terms.evaluation.samples, *sizes])
        self._gradient_samples = min(terms.evaluation.gradient_samples, self._samples)

    @cached_property
    def _quality(self) -> Quality:
        # Made at the first use: it may train a reference classifier, which the timing of steps does not need.
        conditional = self._classes is not None
        evaluation = self._terms.evaluation
        return quality_of(
            self._data,
            self._samples,
            self._device,
            conditional=conditional,
            further=evaluation.metrics,
            has_protocols=bool(evaluation.protocols),
        )

    @cached_property
    def _inception(self) -> InceptionQuality | None:
        evaluation = self._terms.evaluation
        if not evaluation.protocols:
            return None
        assert isinstance(self._data, ImageData)
        weights = self._terms.inception_weights
        return InceptionQuality(self._data, evaluation.protocols, weights, self._device, evaluation.metrics)

    def evaluate(self, networks: Mapping[str, nn.Module], kept: EvaluationState, draw: str) -> DiscriminatorMeasurement:
        """Measure quality and discriminator of ``networks``; ``kept`` is the state after the last evaluation.

        If there is an ``average`` of the generator, it is judged on the same draw, under names that end in ``/ema``,
        with batch statistics of its own.
        """
        rng = self._stream(draw)
        samples = self._samples_and_reference(networks["generator"], rng)
        quality = self._quality_of(networks["generator"], samples, draw)
        if "average" in networks:
            average = self.with_own_statistics(networks["average"], draw)
            averaged = self._quality_of(average, self._samples_and_reference(average, self._stream(draw)), draw)
            quality |= {f"{name}/{EMA}": value for name, value in averaged.items()}
        fake, real, *labels = samples
        places = self._places(fake, real, kept.old, rng)
        search = stream(self._terms.seed, f"evaluation/{draw}/lipschitz")
        of_places = labels[0][: self._gradient_samples] if labels else None
        measured = measure_discriminator(
            networks["discriminator"], places, kept.starts, search, labels=of_places, classes=self._classes
        )
        gradient = self._generator_gradient(networks, places["real"], of_places, draw)
        return measured._replace(values=quality | measured.values | gradient)

    def _generator_gradient(
        self, networks: Mapping[str, nn.Module], real: Tensor, labels: Tensor | None, draw: str
    ) -> dict[str, float]:
        loss = self._terms.loss
        assert isinstance(loss, GANLoss)
        rng = self._stream(f"{draw}/generator gradient")
        latents = torch.randn(len(real), self._latent, generator=rng, device=self._device)
        return generator_gradient(loss, networks["generator"], networks["discriminator"], latents, real, labels)

    def _quality_of(self, generator: nn.Module, samples: Sequence[Tensor], draw: str) -> dict[str, float]:
        """Return all quality metrics of ``generator``; ``samples`` are those of `_samples_and_reference`."""
        quality = self._quality.measure(*samples)
        if self._inception:
            batches = self._batches(generator, self._inception.generated, self._stream(f"{draw}/protocols"))
            quality |= self._inception.measure(batches)
        return quality

    def facts(self, generator: nn.Module) -> dict[str, Any]:
        """Return the floor of each quality metric, real against real data, and the metrics' protocols."""
        samples = self._floor_and_reference(self._stream("floor"))
        # With many classes and few images, hardly any image may have another of its class in the other part.
        floor = self._quality.measure(*samples) if len(samples[0]) > 1 else {}
        # A metric without a better direction, such as the share of a class, has no floor.
        floor = {name: value for name, value in floor.items() if metric_of(name, self._terms.evaluation.metrics).better}
        protocols = self._quality.protocols
        if self._inception:
            floor, protocols = floor | self._inception.floor(), protocols | self._inception.protocols
        if self._terms.training.ema is not None:
            floor |= {f"{name}/{EMA}": value for name, value in floor.items()}
            averaged = {"generator": f"moving average of its weights, decay {self._terms.training.ema:g}"}
            if has_running_statistics(generator):
                averaged["batch statistics"] = f"mean of {BATCHES} batches of {self._batch_size} latents"
            protocols |= {f"{name}/{EMA}": facts | averaged for name, facts in protocols.items()}
        of_data = {name: {**facts, "data": f"SHA-256 {self._data.hash[:12]}"} for name, facts in protocols.items()}
        return {"floor": floor, "protocols": of_data}

    def samples_from_fixed_latents(self, generator: nn.Module) -> Tensor:
        """Return samples of the present generator for the next evaluation, from the same latents in every one."""
        n = self._gradient_samples
        return self._generate(generator, n, self._stream("old"), self._balanced_labels(n))

    def arrays(self, networks: Mapping[str, nn.Module], kept: EvaluationState) -> dict[str, np.ndarray]:
        """Return samples next to real ones, spectra by layer and, for points, the discriminator's surface.

        Samples are those of `class_sample_arrays` in a conditional run, else those of `sample_arrays`; spectra are
        those of `spectrum_arrays`.
        """
        rng, generator = self._stream("shown"), networks["generator"]
        if self._classes is None:
            arrays = sample_arrays(self._data, generator, self._latent, rng, self._samples)
        else:
            assert isinstance(self._data, ImageData)
            arrays = class_sample_arrays(self._data, generator, self._latent, rng)
        arrays |= spectrum_arrays(kept.spectra)
        if isinstance(self._data, PointData):
            arrays |= surface_arrays(networks["discriminator"], self._data.extent, self._device)
        return arrays

    @property
    def _batch_size(self) -> int:
        training = self._terms.training
        return training.generator_batch_size or training.batch_size

    def with_own_statistics(self, generator: nn.Module, draw: str) -> nn.Module:
        """Return ``generator`` or, if it has running statistics, a copy with those of its own samples.

        The samples are those of the evaluation stream ``draw``.
        """
        if not has_running_statistics(generator):
            return generator
        rng, sizes = self._stream(f"{draw}/batch statistics"), [self._batch_size] * BATCHES
        return with_standing_statistics(generator, (self._inputs(size, rng) for size in sizes))

    def _stream(self, draw: str) -> torch.Generator:
        return stream(self._terms.seed, f"evaluation/{draw}", self._device)

    def _samples_and_reference(self, generator: nn.Module, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Return generated and held-out samples and, in a conditional run, the labels of both, row by row."""
        if self._classes is None:
            return self._generate(generator, self._samples, rng), self._data.reference(self._samples, rng)
        assert isinstance(self._data, ImageData)
        real, labels = self._data.labelled_reference(self._samples, rng)
        return self._generate(generator, self._samples, rng, labels), real, labels

    def _floor_and_reference(self, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Return training and held-out samples and, in a conditional run, the labels of both, row by row."""
        if self._classes is None:
            return self._data.floor(self._samples, rng), self._data.reference(self._samples, rng)
        assert isinstance(self._data, ImageData)
        real, labels = self._data.labelled_reference(self._samples, rng)
        floor, rows = self._data.labelled_floor(labels, rng)
        return floor, real[rows], labels[rows]

    def _balanced_labels(self, n: int) -> Tensor | None:
        """Return, in a conditional run, ``n`` labels in the order of the classes, equally many of each."""
        return None if self._classes is None else torch.arange(n, device=self._device) * self._classes // n

    def _generate(self, generator: nn.Module, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Tensor:
        latents = torch.randn(n, self._latent, generator=rng, device=self._device)
        return generate(generator, latents, labels)

    def _batches(self, generator: nn.Module, n: int, rng: torch.Generator) -> Iterator[Tensor]:
        """Yield ``n`` generated samples in batches, from `_inputs`."""
        for start in range(0, n, BATCH):
            yield generate(generator, *self._inputs(min(BATCH, n - start), rng))

    def _inputs(self, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Return latents ``(n, latent)`` and, in a conditional run, labels by the training data's class frequencies."""
        labels: tuple[Tensor, ...] = ()
        if self._classes is not None:
            assert isinstance(self._data, ImageData)
            labels = (self._data.draw_classes(n, rng),)
        return torch.randn(n, self._latent, generator=rng, device=self._device), *labels

    def _places(self, fake: Tensor, real: Tensor, old: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        n = self._gradient_samples
        real, fake = real[:n], fake[:n]
        epsilon = torch.rand((n,) + (1,) * (real.dim() - 1), generator=rng, device=self._device)
        noise = torch.rand(real.shape, generator=rng, device=self._device) * 2 - 1
        if isinstance(self._data, PointData):
            noise = noise * max(map(abs, self._data.extent))
        return {
            "real": real,
            "fake": fake,
            "interpolated": torch.lerp(fake, real, epsilon),
            "old": torch.lerp(old, real, epsilon),
            "noise": noise,
        }
