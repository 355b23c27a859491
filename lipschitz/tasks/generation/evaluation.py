"""What is measured of a GAN, and what the report draws of it; randomness is its own, and nothing is changed."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.datasets.base import Data, ImageData, PointData
from lipschitz.metrics.catalogue import metric_of
from lipschitz.random_streams import stream
from lipschitz.tasks.generation.inception_quality import InceptionQuality
from lipschitz.tasks.generation.quality import Quality, quality_of
from lipschitz.tasks.generation.samples import BATCH, by_class, generate, mixed
from lipschitz.tasks.measurement import Measured, measure_discriminator, with_row
from lipschitz.tasks.surfaces import spectrum_arrays, surface
from lipschitz.tasks.terms import Terms

EMA = "ema"
"""What follows the name of a metric of the averaged generator."""


class Memory(NamedTuple):
    """What one evaluation leaves for the next, and for the report."""

    old: Tensor
    """Samples of the generator as it was then, ``(n, ...)``; in a conditional run of every class in turn, whatever the
    classes of the real samples that they are mixed with."""
    starts: dict[str, Tensor]
    """By layer, from where to look for σ."""
    spectra: dict[str, Tensor]
    """By layer, its singular values at each evaluation so far, ``(evaluations, k)`` float32."""

    def after(self, old: Tensor, measured: Measured) -> "Memory":
        """Return what the evaluation that ``measured`` leaves."""
        return Memory(old, measured.starts, with_row(self.spectra, measured.spectra))


class Evaluator:
    """Measures a generator ``(n, latent)`` -> ``(n, *shape)`` and a discriminator of one data set, for one seed.

    Args:
        data: the data set, on the device of both networks.
        terms: of the run; a draw is its seed's stream ``evaluation/<draw>``.
        latent: dimensions of the generator's Gaussian input.
        classes: of a conditional run, in which samples are generated of the classes of the real ones, row by row.
    """

    def __init__(self, data: Data, terms: Terms, *, latent: int, classes: int | None = None) -> None:
        self._data, self._terms, self._latent, self._classes = data, terms, latent, classes
        self._device = terms.device
        # As many as there are of either part: the floor takes them from the training images.
        sizes = data.sizes.values() if isinstance(data, ImageData) else ()
        self._samples = min([terms.evaluation.samples, *sizes])
        self._gradient_samples = min(terms.evaluation.gradient_samples, self._samples)

    @cached_property
    def _quality(self) -> Quality:
        # Made when first needed: a reference classifier may have to be trained, which timing a step can do without.
        conditional = self._classes is not None
        further = self._terms.evaluation.metrics
        return quality_of(self._data, self._samples, self._device, conditional=conditional, further=further)

    @cached_property
    def _inception(self) -> InceptionQuality | None:
        evaluation = self._terms.evaluation
        if not evaluation.protocols:
            return None
        assert isinstance(self._data, ImageData)
        weights = self._terms.inception_weights
        return InceptionQuality(self._data, evaluation.protocols, weights, self._device, evaluation.metrics)

    def evaluate(self, networks: Mapping[str, nn.Module], memory: Memory, draw: str) -> Measured:
        """Measure the quality of ``networks`` and the discriminator; ``memory`` is what earlier evaluations left.

        Where there is an ``average`` of the generator, what judges it, on the same draw, is called ``.../ema``.
        """
        rng = self._stream(draw)
        samples = self._pairs(networks["generator"], rng)
        quality = self._judged(networks["generator"], samples, draw)
        if "average" in networks:
            average = networks["average"]
            averaged = self._judged(average, self._pairs(average, self._stream(draw)), draw)
            quality |= {f"{name}/{EMA}": value for name, value in averaged.items()}
        fake, real, *labels = samples
        places = self._places(fake, real, memory.old, rng)
        search = stream(self._terms.seed, f"evaluation/{draw}/lipschitz")
        of_places = [rows[: self._gradient_samples] for rows in labels]
        measured = measure_discriminator(networks["discriminator"], places, memory.starts, search, *of_places)
        return measured._replace(values=quality | measured.values)

    def _judged(self, generator: nn.Module, samples: Sequence[Tensor], draw: str) -> dict[str, float]:
        """Return what judges ``generator``: by ``samples``, what `_pairs` drew of it, and by the protocols."""
        quality = self._quality.measure(*samples)
        if self._inception:
            many = self._many(generator, self._inception.generated, self._stream(f"{draw}/protocols"))
            quality |= self._inception.measure(many)
        return quality

    def facts(self) -> dict[str, Any]:
        """Return the floor of each quality metric, real against real, and the metrics' protocols."""
        pairs = self._real_pairs(self._stream("floor"))
        # Of many classes and few images, no class may be in both parts.
        floor = self._quality.measure(*pairs) if len(pairs[0]) else {}
        # What judges nothing, such as the share of a class, has no floor.
        floor = {name: value for name, value in floor.items() if metric_of(name, self._terms.evaluation.metrics).better}
        protocols = self._quality.protocols
        if self._inception:
            floor, protocols = floor | self._inception.floor(), protocols | self._inception.protocols
        if self._terms.training.ema is not None:
            floor |= {f"{name}/{EMA}": value for name, value in floor.items()}
            averaged = {"generator": f"moving average of its weights, decay {self._terms.training.ema:g}"}
            protocols |= {f"{name}/{EMA}": facts | averaged for name, facts in protocols.items()}
        return {"floor": floor, "protocols": protocols}

    def remember(self, generator: nn.Module) -> Tensor:
        """Return samples by which a later evaluation knows the present generator, from latents that stay the same."""
        return self._generate(
            generator, self._gradient_samples, self._stream("old"), self._every_class(self._gradient_samples)
        )

    def arrays(self, networks: Mapping[str, nn.Module], memory: Memory) -> dict[str, np.ndarray]:
        """Return samples from fixed latents beside real ones, spectra by layer, and for points the value surface.

        ``spectrum/<layer>`` is that of the last evaluation, ``spectra/<layer>`` has a row for each. Samples are those
        of `by_class` in a conditional run, and of `mixed` in any other.
        """
        rng, generator = self._stream("shown"), networks["generator"]
        if self._classes is None:
            arrays = mixed(self._data, generator, self._latent, rng, self._samples)
        else:
            assert isinstance(self._data, ImageData)
            arrays = by_class(self._data, generator, self._latent, rng)
        arrays |= spectrum_arrays(memory.spectra)
        if isinstance(self._data, PointData):
            arrays |= surface(networks["discriminator"], self._data.extent, self._device)
        return arrays

    def _stream(self, draw: str) -> torch.Generator:
        return stream(self._terms.seed, f"evaluation/{draw}", self._device)

    def _pairs(self, generator: nn.Module, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Return generated and real samples and, in a conditional run, the labels that both have, row by row."""
        if self._classes is None:
            return self._generate(generator, self._samples, rng), self._data.reference(self._samples, rng)
        assert isinstance(self._data, ImageData)
        real, labels = self._data.labelled_reference(self._samples, rng)
        return self._generate(generator, self._samples, rng, labels), real, labels

    def _real_pairs(self, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Return real samples of either part and, in a conditional run, the labels that both have, row by row."""
        if self._classes is None:
            return self._data.floor(self._samples, rng), self._data.reference(self._samples, rng)
        assert isinstance(self._data, ImageData)
        real, labels = self._data.labelled_reference(self._samples, rng)
        floor, rows = self._data.floor_of(labels, rng)
        return floor, real[rows], labels[rows]

    def _every_class(self, n: int) -> Tensor | None:
        """Return, in a conditional run, labels of ``n`` samples in the order of the classes, as many of each."""
        return None if self._classes is None else torch.arange(n, device=self._device) * self._classes // n

    def _generate(self, generator: nn.Module, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Tensor:
        latents = torch.randn(n, self._latent, generator=rng, device=self._device)
        return generate(generator, latents, labels)

    def _many(self, generator: nn.Module, n: int, rng: torch.Generator) -> Iterator[Tensor]:
        """Yield ``n`` generated samples, some at a time; in a conditional run of classes as frequent as in training."""
        for start in range(0, n, BATCH):
            size, labels = min(BATCH, n - start), None
            if self._classes is not None:
                assert isinstance(self._data, ImageData)
                labels = self._data.classes_drawn(size, rng)
            yield self._generate(generator, size, rng, labels)

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
