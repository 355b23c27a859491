import numpy as np
import pytest
import torch
from fake_inception import data as small_data

from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.points import EightGaussians, SwissRoll
from lipschitz.features.protocols import SNGAN, Modern
from lipschitz.features.reference_classifier import reference_classifier
from lipschitz.metrics.base import Metric
from lipschitz.metrics.catalogue import metric_of
from lipschitz.metrics.classifier import ClassShare, FrechetClassifier
from lipschitz.metrics.frechet import frechet_distance
from lipschitz.metrics.mmd import kid
from lipschitz.metrics.points import W1, Modes
from lipschitz.tasks.base import Unsuitable
from lipschitz.tasks.generation.generation import GenerationTask
from lipschitz.tasks.generation.quality import ImageQuality, metrics_of, quality_of
from lipschitz.tasks.terms import Evaluation

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return Digits().load(None, CPU)


@pytest.fixture(scope="module")
def quality(digits):
    return ImageQuality(digits, 200, CPU, conditional=True)


@pytest.fixture(scope="module")
def labelled(digits):
    return digits.labelled_reference(200, torch.Generator().manual_seed(0))


def test_the_kid_is_of_all_samples_in_the_classifiers_features(digits, quality, labelled):
    real, _ = labelled
    noise = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(1)).mul(255).round().div(127.5).sub(1)
    features = reference_classifier(digits, CPU).features
    found = quality.measure(noise, real)
    assert found["kid_classifier"] == pytest.approx(kid(features(noise), features(real)).mean, rel=1e-6)
    assert found["kid_classifier"] > 10 * abs(
        quality.measure(digits.floor(200, torch.Generator()), real)["kid_classifier"]
    )
    assert quality.protocols["kid_classifier"]["n_fake"] == 200


def test_the_classifier_sees_images_as_they_would_be_saved(digits, quality, labelled):
    images = 1.2 * torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.6
    saved = torch.from_numpy(np.rint((images.double().numpy() + 1) * 127.5) / 127.5 - 1).float()
    assert not torch.equal(images, saved)
    found = quality.measure(images, labelled[0])
    assert found == quality.measure(saved, labelled[0])
    features = reference_classifier(digits, CPU).features
    expected = frechet_distance(features(saved), features(labelled[0]))
    assert found["frechet_classifier"] == pytest.approx(expected, rel=1e-6)
    assert found["frechet_classifier"] != pytest.approx(
        frechet_distance(features(images), features(labelled[0])), rel=1e-6
    )


def test_of_images_with_labels_each_class_is_compared_with_itself(digits, quality, labelled):
    real, labels = labelled
    own = quality.measure(real, real, labels)
    assert own["intra_frechet_classifier"] == pytest.approx(0, abs=1e-9)
    # Another order of the same images: the same distribution, of the wrong classes.
    order = labels.argsort(stable=True).roll(20)
    shuffled = quality.measure(real[order][labels.argsort(stable=True).argsort()], real, labels)
    assert shuffled["frechet_classifier"] == pytest.approx(0, abs=1e-9)
    features = reference_classifier(digits, CPU).features(real)
    mixed = features[order.numpy()][labels.argsort(stable=True).argsort().numpy()]
    of_classes = [frechet_distance(mixed[labels == k], features[labels == k]) for k in range(10)]
    assert shuffled["intra_frechet_classifier"] == pytest.approx(np.mean(of_classes), rel=1e-6)
    assert shuffled["intra_frechet_classifier"] > 1


def test_shares_are_of_the_classes_that_samples_are_taken_for(quality, labelled):
    real, labels = labelled
    zeros = real[labels == 0][:2].repeat(100, 1, 1, 1)
    found = quality.measure(zeros, real, labels)
    assert found["class_share/0"] == 1
    shares = [found[f"class_share/{k}"] for k in range(10)]
    assert sum(shares) == pytest.approx(1)
    assert set(quality.protocols) == set(found)


def test_a_class_with_one_sample_is_left_out_and_none_at_all_is_nan(quality, labelled):
    real, _ = labelled
    found = quality.measure(real[:4], real[:4], torch.tensor([0, 0, 1, 2]))
    assert found["intra_frechet_classifier"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(quality.measure(real[:3], real[:3], torch.tensor([0, 1, 2]))["intra_frechet_classifier"])


def test_without_labels_nothing_is_said_of_classes(digits, labelled):
    quality = ImageQuality(digits, 200, CPU)
    found = quality.measure(labelled[0], labelled[0])
    assert set(found) == set(quality.protocols) == {"frechet_classifier", "w1_classifier", "kid_classifier"}


def test_images_without_labels_have_no_classifier_and_a_random_network_unless_there_are_protocols():
    images = torch.rand(10, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    quality = quality_of(small_data(), 10, CPU, has_protocols=True)
    assert quality.measure(images, images) == quality.protocols == {}
    quality = quality_of(small_data(), 10, CPU)
    found = quality.measure(images, images.flip(0))
    assert list(found) == list(quality.protocols) == ["frechet_random", "w1_random", "kid_random"]
    assert found["frechet_random"] == pytest.approx(0, abs=0.05)
    assert quality.protocols["kid_random"]["features"].startswith("network with random weights, not trained, SHA-256 ")


@pytest.mark.parametrize(
    ("dataset", "names"), [(EightGaussians(), {"w1", "modes", "high_quality"}), (SwissRoll(), {"w1"})]
)
def test_modes_are_measured_of_a_mixture_alone(dataset, names):
    data, rng = dataset.load(None, CPU), torch.Generator().manual_seed(0)
    quality = quality_of(data, 50, CPU)
    found = quality.measure(data.reference(50, rng), data.reference(50, rng))
    assert set(found) == set(quality.protocols) == names


class Brightness(Metric):
    """Mean of generated pixels over that of real ones."""

    judges = "images"
    title = "Brightness"
    source = "this test"

    def measure(self, samples):
        assert samples.generated.dtype == samples.real.dtype == np.uint8
        return {"ratio": samples.generated.mean() / samples.real.mean(), "labels": len(samples.labels)}

    def places(self, context):
        return "ratio", "labels"


def test_a_further_metric_judges_images_as_they_would_be_saved():
    quality = quality_of(small_data(), 10, CPU, further=(Brightness(),), has_protocols=True)
    black, grey = torch.full((10, 3, 8, 8), -2.0), torch.zeros(10, 3, 8, 8)
    labels = torch.arange(10) % 2
    found = quality.measure(grey, grey * 0 + 1, labels)
    name = Brightness().label()
    assert found == {f"{name}/ratio": pytest.approx(128 / 255), f"{name}/labels": 10}
    assert quality.measure(black, grey, labels)[f"{name}/ratio"] == 0
    assert set(quality.protocols) == set(found)


def test_a_metric_that_does_not_apply_is_refused():
    evaluation = Evaluation()
    GenerationTask().check_metric(W1(), EightGaussians(), evaluation)
    GenerationTask().check_metric(FrechetClassifier(), Digits(), evaluation)
    # Measured in conditional runs, which digits may have.
    GenerationTask().check_metric(ClassShare(), Digits(), evaluation)
    for metric, dataset in ((W1(), Digits()), (Modes(), SwissRoll()), (FrechetClassifier(), EightGaussians())):
        with pytest.raises(Unsuitable, match=f"{metric.label()} does not apply to {dataset.label()}; it judges "):
            GenerationTask().check_metric(metric, dataset, evaluation)


class Ranked(Brightness):
    """The same, by which runs may be chosen."""

    named = "ratio_of_means"
    better = "higher"

    def places(self, context):
        return ()


def test_metrics_are_those_of_the_data_and_of_the_protocols():
    class Unlabelled(Digits):
        @property
        def classes(self):
            return None

    assert metrics_of(Digits()) == ("frechet_classifier", "w1_classifier", "kid_classifier")
    random = ("frechet_random", "w1_random", "kid_random")
    assert metrics_of(Unlabelled()) == random
    assert metrics_of(Unlabelled(), Evaluation(metrics=(Ranked(),))) == ("ratio_of_means", *random)
    modern = Evaluation(protocols=(Modern(),))
    assert metrics_of(Unlabelled(), Evaluation(protocols=(SNGAN(), Modern())))[0] == "fid/sngan"
    assert metrics_of(Digits(), modern)[0] == "frechet_classifier"
    assert "kid/modern" in metrics_of(Digits(), modern)
    assert metrics_of(EightGaussians()) == ("w1", "modes", "high_quality")
    assert all(metric_of(name).better for name in metrics_of(Digits(), modern))
