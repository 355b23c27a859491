"""Contracts of data sets, models, losses and metrics of your own, by file or entry point.

``pytest tests/test_extension_contracts.py --dataset mine.py:Faces --model mine.py:Net --loss mine.py:Loss --metric
mine.py:Metric`` tests these; without an option the examples of the documentation and one of the package are tested.
Data sets of files are read below ``data``, or below the folder that LIPSCHITZ_TEST_DATA names.
"""

import copy
import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lipschitz.config import Config
from lipschitz.constraints.base import constrain
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.datasets.base import DATASETS, Dataset
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.errors import InputError
from lipschitz.estimation.fixed_labels import example_labels
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.metrics.base import Metric, measure_all
from lipschitz.metrics.catalogue import METRICS
from lipschitz.metrics.samples import ClassifierSamples, ImageSamples, PointSamples
from lipschitz.models.base import MODELS, ClassifierModel, Model, PairModel
from lipschitz.tasks.losses import LOSSES, ClassifierLoss, GANLoss, Loss

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
POINTS: dict[str, tuple[ExtensionPoint[Any], list[str]]] = {
    "dataset": (DATASETS, [f"{EXAMPLES / 'two_moons.py'}:TwoMoons", "digits"]),
    "model": (MODELS, ["mlp"]),
    "loss": (LOSSES, [f"{EXAMPLES / 'smoothed_labels.py'}:SmoothedLabels", "cross_entropy"]),
    "metric": (METRICS, [f"{EXAMPLES / 'mean_distance.py'}:MeanDistance"]),
}
SHAPES = {"points": (2,), "images": (3, 32, 32)}
CPU = torch.device("cpu")
N = 6


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test the classes that an option names. If any option is given, nothing else is tested."""
    options = {noun: metafunc.config.getoption(f"--{noun}") for noun in POINTS}
    for noun, (point, examples) in POINTS.items():
        if noun in metafunc.fixturenames:
            given = options[noun] if any(options.values()) else examples
            try:
                kinds = [point.called(reference) for reference in given]
            except InputError as error:
                raise pytest.UsageError(f"--{noun}: {error}") from None
            metafunc.parametrize(noun, kinds, ids=[kind.name() for kind in kinds])
    if "extension" in metafunc.fixturenames:
        kinds = [
            point.called(one)
            for noun, (point, examples) in POINTS.items()
            for one in (options[noun] if any(options.values()) else examples)
        ]
        metafunc.parametrize("extension", kinds, ids=[kind.name() for kind in kinds])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_it_can_be_made_with_its_defaults_sent_to_a_worker_and_named(extension: type[Config]) -> None:
    one = extension()
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(one) == hash(extension())
    assert one.label() == one.name()
    assert one.summary(), "a docstring says what it is"
    extension.check_class()
    with pytest.raises(ValueError, match="nonsense"):
        extension(nonsense=1)


def test_data_are_as_declared_and_depend_on_the_generator_alone(dataset: type[Dataset]) -> None:
    declared = dataset()
    assert declared.source, "source names the publisher or the paper"
    root = Path(os.environ.get("LIPSCHITZ_TEST_DATA", "data"))
    data, again = declared.load(root, CPU), declared.load(root, CPU)
    assert isinstance(data.hash, str)
    assert data.hash == again.hash, "the same data have the same hash"
    assert data.shape == declared.shape
    if isinstance(data, ImageData):
        assert data.classes == declared.classes
    before = torch.get_rng_state()
    draws = (data.source, data.target) if declared.kind == "pairs" else (data.batch, data.reference, data.floor)
    for draw in draws:
        first = draw(2, rng(0))
        assert first.shape == (2, *declared.shape)
        assert first.dtype == torch.float32
        assert first.isfinite().all()
        assert torch.equal(first, draw(2, rng(0)))
        if declared.kind == "images":
            assert first.abs().max() <= 1, "images are in [-1, 1]"
    assert torch.equal(before, torch.get_rng_state()), "torch's global generator is not used"


def test_held_out_samples_are_not_trained_on(dataset: type[Dataset]) -> None:
    declared = dataset()
    if declared.kind == "pairs":
        pytest.skip("a pair of distributions has no held-out part")
    data = declared.load(Path(os.environ.get("LIPSCHITZ_TEST_DATA", "data")), CPU)
    n = min(100, data.sizes["held_out"], data.sizes["train"]) if isinstance(data, ImageData) else 100
    generator = rng()
    reference, floor = data.reference(n, generator).flatten(1), data.floor(n, generator).flatten(1)
    assert float(torch.cdist(reference, floor).min()) > 0


def networks(model: Model, seed: int = 0) -> list[nn.Module]:
    torch.manual_seed(seed)
    shape = SHAPES[model.kind]
    if isinstance(model, PairModel):
        return list(model.build(shape, 10)[:2])
    return [model.build_classifier(shape, 10)] if isinstance(model, ClassifierModel) else []


def discriminator(model: Model) -> nn.Module:
    torch.manual_seed(0)
    return model.build_discriminator(SHAPES[model.kind], 10)


def judged(net: nn.Module, samples: Tensor) -> Tensor:
    out = net(samples, *example_labels(net, samples))
    assert isinstance(out, Tensor)
    return out


def test_a_model_is_built_reproducibly_from_the_seed(model: type[Model]) -> None:
    one = model()
    assert one.source, "source names the paper"
    one.check(SHAPES[one.kind])
    for ours, theirs in zip([*networks(one), discriminator(one)], [*networks(one), discriminator(one)], strict=True):
        first, second = ours.state_dict(), theirs.state_dict()
        assert list(first) == list(second)
        assert all(torch.equal(first[key], second[key]) for key in first)
    with torch.device("meta"):
        discriminator(one)


def test_a_discriminator_gives_one_number_a_sample_and_an_input_gradient(model: type[Model]) -> None:
    one = model()
    net = discriminator(one)
    samples = torch.randn(N, *SHAPES[one.kind], generator=rng()).requires_grad_()
    out = judged(net, samples)
    assert out.shape == (N, 1)
    (gradient,) = torch.autograd.grad(out.sum(), samples)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
    net.eval()
    alone = torch.cat([judged(net, samples[k : k + 1]) for k in range(N)])
    torch.testing.assert_close(judged(net, samples), alone, rtol=1e-4, atol=1e-5)
    assert torch.equal(judged(copy.deepcopy(net), samples), judged(net, samples))


def test_a_discriminator_takes_a_constraint(model: type[Model]) -> None:
    one = model()
    net = constrain(discriminator(one), [SpectralNormalization()], SHAPES[one.kind])
    assert judged(net, torch.randn(N, *SHAPES[one.kind], generator=rng())).isfinite().all()


def test_a_loss_is_a_finite_scalar_that_pulls_the_right_way(loss: type[Loss]) -> None:
    one = loss()
    assert one.source, "source names the paper"
    if isinstance(one, ClassifierLoss):
        logits = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
        labels = torch.tensor([0, 1, 2, 0])
        each = one.of_samples(logits, labels)
        assert each.shape == (4,)
        (gradient,) = torch.autograd.grad(each.sum(), logits)
        assert (gradient[torch.arange(4), labels] < 0).all(), "the logit of the class rises"
        return
    assert isinstance(one, GANLoss)

    def of_generator(fake: Tensor, real: Tensor) -> Tensor:
        return one.generator(fake, real) if one.generator_sees_real else one.generator(fake)

    real, fake = (torch.full((3, 1), 0.5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    value = one.discriminator(real, fake)
    assert value.shape == ()
    of_real, of_fake = torch.autograd.grad(value, (real, fake))
    assert (of_real < 0).all(), "D(real) rises"
    assert (of_fake > 0).all(), "D(generated) falls"
    (of_fake,) = torch.autograd.grad(of_generator(fake, real.detach()), fake)
    assert (of_fake < 0).all(), "the generator raises D(generated)"
    for large in (1e4, -1e4):
        output = torch.full((2, 1), large)
        assert one.discriminator(output, output).isfinite()
        assert of_generator(output, -output).isfinite()


def samples_of(metric: Metric) -> Any:
    draws = np.random.default_rng(0)
    labels = np.arange(24) % 3
    match metric.judges:
        case "points":
            return PointSamples(draws.normal(size=(24, 2)), draws.normal(size=(24, 2)), draws.normal(size=(3, 2)), 1.0)
        case "images":
            pixels = draws.integers(256, size=(2, 24, 1, 4, 4), dtype=np.uint8)
            return ImageSamples(pixels[0], pixels[1], labels)
        case "classifier":
            features = draws.normal(size=(2, 24, 5))
            return ClassifierSamples(features[0], features[1], labels[::-1].copy(), 3, labels)
    pytest.skip(f"a metric that judges {metric.judges} is tested on features of a network")


def test_a_metric_has_a_title_a_direction_and_finite_values(metric: type[Metric]) -> None:
    one = metric()
    described = one.describe()
    assert described.title
    assert one.better in ("lower", "higher", None)
    samples = samples_of(one)
    state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    values = measure_all([one], samples)
    assert values
    assert all(isinstance(value, float) and math.isfinite(value) for value in values.values())
    assert values == measure_all([one], samples), "the same samples have the same value"
    assert np.array_equal(np.random.get_state()[1], state[0]), "NumPy's global generator is not used"  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), state[1]), "torch's global generator is not used"
