"""Stacked digits: their channels, classes and classifier, and what is counted of them."""

import math

import numpy as np
import pytest
import torch
from gan_terms import TERMS, with_terms
from mnist_files import contents, expect, write

from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.datasets.images.stacked_digits import StackedDigits
from lipschitz.features.stacked_classifier import StackedExtractor, image_classifier
from lipschitz.metrics.classifier import ClassDivergence, ClassesCovered
from lipschitz.metrics.samples import ClassifierSamples
from lipschitz.models.dcgan import DCGAN
from lipschitz.tasks.generation.gan_training import GANTraining

CPU = torch.device("cpu")
SMALL = StackedDigits(images=200, held_out=100)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return SMALL.load(None, CPU)


def test_every_channel_is_a_digit_and_the_class_spells_them(data: ImageData) -> None:
    single = Digits().load(None, CPU)
    for stacked, base in ((data.train, single.train), (data.held_out, single.held_out)):
        known = {
            image.numpy().tobytes(): int(label)
            for image, label in zip(base.take(torch.arange(base.size)), base.labels, strict=True)
        }
        for image, label in zip(stacked.take(torch.arange(50)), stacked.labels, strict=False):
            digits = [known[channel[None].numpy().tobytes()] for channel in image]
            assert int(label) == digits[0] + 10 * digits[1] + 100 * digits[2]


def test_classes_have_equal_probability() -> None:
    labels = StackedDigits(images=50_000, held_out=10, depth=2).load(None, CPU).train.labels
    counts = torch.bincount(labels, minlength=100)
    # Shares of the digits differ by a few per cent among the 901 training images.
    assert len(counts) == 100
    assert float(counts.min()) > 400
    assert float(counts.max()) < 600


def test_mnist_is_stacked_too(tmp_path, monkeypatch) -> None:
    expect(monkeypatch, "MNIST", contents())
    write(tmp_path, "MNIST", contents(), packed=False)
    dataset = StackedDigits(of="mnist", depth=2, images=20, held_out=10)
    assert dataset.load(tmp_path, CPU).shape == dataset.shape == (2, 32, 32)
    assert dataset.classes == 100


def test_the_classifier_of_channels_knows_the_classes(data: ImageData) -> None:
    classifier = image_classifier(data, CPU)
    assert isinstance(classifier, StackedExtractor)
    single = image_classifier(Digits().load(None, CPU), CPU)
    assert classifier.sha256 == single.sha256
    # Three independent digits are right together about as often as the cube of one.
    assert classifier.accuracy == pytest.approx(single.accuracy**3, abs=0.08)
    assert classifier.accuracy > 0.75
    images = data.reference(20, torch.Generator().manual_seed(0))
    assert classifier.features(images).shape == (20, 192)


def test_coverage_and_divergence_are_known() -> None:
    nothing = np.zeros((4, 1))
    samples = ClassifierSamples(nothing, nothing, np.array([0, 0, 1, 3]), 4, None)
    assert ClassesCovered().measure(samples) == 3
    expected = 0.5 * math.log(4 * 0.5) + 2 * 0.25 * math.log(4 * 0.25)
    assert ClassDivergence().measure(samples) == pytest.approx(expected, rel=1e-12)


def test_a_run_counts_covered_classes(data: ImageData) -> None:
    task = GANTraining(data, with_terms(TERMS, model=DCGAN(width=4), samples=64))
    values = task.evaluate("a")
    assert 1 <= values["classes_covered"] <= 64
    facts = task.facts()
    assert facts["floor"]["classes_covered"] > 55
    assert facts["floor"]["class_divergence"] < values["class_divergence"]
    assert facts["protocols"]["classes_covered"]["features"].startswith("classifier of each channel")
    assert "classes_covered" not in GANTraining(Digits().load(None, CPU), TERMS).evaluate("a")
