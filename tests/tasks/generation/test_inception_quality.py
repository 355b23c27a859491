from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_inception import data, images, network
from gan_terms import TERMS, with_terms

from lipschitz.datasets.images.image_data import to_floats
from lipschitz.errors import InputError
from lipschitz.features.protocols import SNGAN, Modern
from lipschitz.features.real_statistics import real_statistics
from lipschitz.metrics.base import Metric
from lipschitz.models.dcgan import DCGAN
from lipschitz.tasks.generation import inception_quality as module
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.generation.inception_quality import InceptionQuality, scores

CPU = torch.device("cpu")
SMALL = SNGAN(n_real=20, n_fake=10, score_samples=30)
LARGE = Modern(n_real=30, n_fake=25)
JUDGED = with_terms(
    TERMS,
    model=DCGAN(width=2),
    batch_size=4,
    samples=10,
    gradient_samples=2,
    selection=SMALL.metrics[0],
    protocols=(SMALL,),
)


@pytest.fixture
def passes(monkeypatch, tmp_path):
    """Stand a quick network in; list how many images pass it, and by which preprocessing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made, inception = [], network()

    class Counted:
        sha256, head = inception.sha256, inception.head

        def embed(self, chunks, *how):
            chunks = list(chunks)
            made.append((sum(map(len, chunks)), *how))
            return inception.embed(chunks, *how)

    monkeypatch.setattr(module, "weights_file", lambda given: given)
    monkeypatch.setattr(module, "load_inception", lambda path, device: Counted())
    return made


def test_one_pass_serves_all_protocols(passes):
    quality = InceptionQuality(data(), (SMALL, LARGE), None, CPU)
    del passes[:]
    assert quality.generated == 30
    generated = to_floats(images(30, seed=9))
    found = quality.measure(torch.split(generated, 16))
    assert passes == [(16, *SMALL.embedding), (14, *SMALL.embedding)]
    embedded = network().embed([images(30, seed=9)], "pytorch_fid")
    for protocol in (SMALL, LARGE):
        expected = scores(embedded, real_statistics(data(), protocol, network()), protocol)
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert len(found) == 14
    assert set(quality.protocols) == set(found) == set(quality.floor())


class Counted(Metric):
    """How many samples are judged."""

    judges = "inception"
    title = "Samples"
    source = "this test"

    def measure(self, samples):
        counts = samples.generated, samples.logits, samples.generated_compared, samples.real_compared
        return {str(place): len(rows) for place, rows in enumerate(counts)} | {"splits": samples.score_splits}

    def places(self, context):
        return "0", "1", "2", "3", "splits"


def test_further_metrics_are_measured_of_samples_and_of_the_floor(passes):
    quality = InceptionQuality(data(), (SMALL,), None, CPU, further=(Counted(),))
    found = quality.measure([to_floats(images(30, seed=9))])
    names = [SMALL.recorded(name) for name in Counted().names(None)]
    # Of 30 images 10 are compared by their moments, 30 are scored, and 10 are compared one by one.
    assert [found[name] for name in names] == [10, 30, 10, 10, SMALL.score_splits]
    assert [quality.floor()[name] for name in names] == [10, 30, 10, 10, SMALL.score_splits]
    assert set(quality.protocols) == set(found) == set(quality.floor())


def test_each_preprocessing_is_a_pass_of_its_own(passes):
    other = SNGAN(n_real=20, n_fake=10, score_samples=30, preprocessing="torch_fidelity")
    quality = InceptionQuality(data(), (SMALL, other), None, CPU)
    del passes[:]
    found = quality.measure([to_floats(images(30, seed=9))])
    assert passes == [(30, "pytorch_fid", "float32"), (30, "torch_fidelity", "float32")]
    assert found[SMALL.metrics[0]] != found[other.metrics[0]]
    assert quality.protocols[other.metrics[0]]["preprocessing"] == "torch_fidelity"


def test_generated_images_are_quantised(passes):
    quality = InceptionQuality(data(), (SMALL,), None, CPU)
    generated = to_floats(images(30, seed=9))
    exact, off = (quality.measure([x]) for x in (generated, generated + 0.4 / 255))
    assert exact == off


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_values_on_cuda_equal_those_of_the_cpu(precision, monkeypatch, tmp_path):
    def loaded(path, device):
        inception = network()
        return replace(inception, backbone=inception.backbone.to(device), head=inception.head.to(device))

    monkeypatch.setattr(module, "weights_file", lambda given: given)
    monkeypatch.setattr(module, "load_inception", loaded)
    variant = SNGAN(n_real=20, n_fake=10, score_samples=30, precision=precision)
    found = []
    for device in (CPU, torch.device("cuda")):
        # Statistics of real images are computed on each device; the second time they are read from the cache.
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / device.type))
        quality = InceptionQuality(data(), (variant, LARGE), None, device)
        generated = to_floats(images(30, seed=9)).to(device)
        values = quality.measure(torch.split(generated, 16)) | {f"floor {k}": v for k, v in quality.floor().items()}
        again = InceptionQuality(data(), (variant, LARGE), None, device).measure([generated])
        assert again == pytest.approx({name: values[name] for name in again}, rel=1e-6)
        found.append(values)
    assert found[1] == pytest.approx(found[0], rel=1e-4 if precision == "float32" else 0.05, abs=1e-6)


def test_too_few_images_are_refused_before_anything_passes(passes):
    with pytest.raises(InputError, match=r"needs 10,000 held-out images, found 30"):
        InceptionQuality(data(), (SNGAN(),), None, CPU)
    assert not passes


@pytest.fixture
def task():
    return GANTraining(data(classes=3), JUDGED)


def test_a_run_is_measured_by_its_protocols_and_chosen_by_one(passes, task):
    assert task.selection.better == "lower"
    first, again, other = (task.evaluate(draw) for draw in ("step 0", "step 0", "best"))
    assert set(SMALL.metrics) < set(first)
    assert first == again
    assert first[SMALL.metrics[0]] != other[SMALL.metrics[0]]
    facts = task.facts()
    assert set(SMALL.metrics) < set(facts["floor"])
    assert facts["protocols"][SMALL.metrics[0]]["n_real"] == 20
    assert np.isfinite([facts["floor"][name] for name in SMALL.metrics]).all()


def test_protocols_shift_nothing_else_that_is_measured(passes, task):
    plain = GANTraining(data(classes=3), with_terms(JUDGED, selection="frechet_classifier", protocols=()))
    without = plain.evaluate("step 0")
    with_them = task.evaluate("step 0")
    assert {name: with_them[name] for name in without} == without


def test_nothing_is_loaded_before_it_is_needed(monkeypatch, task):
    monkeypatch.setattr(module, "weights_file", None)
    task.step(0.0)
