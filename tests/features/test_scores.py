"""A protocol's metrics against the metric functions, and the floor."""

import numpy as np
import pytest
from fake_inception import data, network

from lipschitz.features.inception import InceptionOutputs
from lipschitz.features.protocols import SNGAN
from lipschitz.features.real_statistics import embed_random_images, real_statistics
from lipschitz.metrics import inception as kid_metric
from lipschitz.metrics.base import Metric
from lipschitz.metrics.frechet import frechet_distance
from lipschitz.metrics.mmd import kid
from lipschitz.metrics.mutual_information import inception_score
from lipschitz.metrics.precision_recall import precision_recall_density_coverage
from lipschitz.tasks.generation import inception_quality as module
from lipschitz.tasks.generation.inception_quality import floor, scores

SMALL = SNGAN(n_real=20, n_fake=10, score_samples=30)
LABEL = "sngan(n_real=20, n_fake=10, score_samples=30)"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return real_statistics(data(), SMALL, network(), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def generated():
    return embed_random_images(data(seed=9), "train", 30, network(), "pytorch_fid")


def test_each_metric_uses_as_many_images_as_the_protocol_says(real, generated):
    found = scores(generated, real, SMALL)
    features = generated.features
    reference = embed_random_images(data(), "held_out", 20, network(), "pytorch_fid").features
    neighbourhoods = precision_recall_density_coverage(features[:10], reference[:10], k=5)
    assert found == pytest.approx(
        {
            f"fid/{LABEL}": frechet_distance(features[:10], reference),
            f"inception_score/{LABEL}": inception_score(generated.logits, splits=10).mean,
            f"kid/{LABEL}": kid(features[:10], reference[:10]).mean,
            **{f"{name}/{LABEL}": value for name, value in neighbourhoods._asdict().items()},
        },
        rel=1e-9,
    )


def test_the_kid_uses_the_same_subsets_at_every_call(real, generated, monkeypatch):
    monkeypatch.setattr(kid_metric, "SUBSET_SIZE", 6)
    monkeypatch.setattr(kid_metric, "SUBSETS", 3)
    values = [scores(generated, real, SMALL)[f"kid/{LABEL}"] for _ in range(2)]
    rng = np.random.default_rng(0)
    assert (
        values[0]
        == values[1]
        == pytest.approx(kid(generated.features[:10], real.features, subsets=3, size=6, rng=rng).mean)
    )


def test_a_collapsed_generator_has_finite_scores(real):
    collapsed = InceptionOutputs(
        *(rows[:1].repeat(30, 1) for rows in embed_random_images(data(), "train", 1, network(), "pytorch_fid"))
    )
    found = scores(collapsed, real, SMALL)
    assert np.isfinite(list(found.values())).all()
    assert found[f"inception_score/{LABEL}"] == pytest.approx(1)


def test_the_floor_is_of_the_other_split_and_cached(real, tmp_path, monkeypatch):
    found = floor(data(), SMALL, network(), real, tmp_path)
    assert found == scores(embed_random_images(data(), "train", 30, network(), "pytorch_fid"), real, SMALL)
    monkeypatch.setattr(module, "embed_random_images", None)
    assert floor(data(), SMALL, network(), real, tmp_path) == found


def test_the_floor_of_a_small_split_uses_all_its_images(tmp_path):
    small = SNGAN(n_real=20, n_fake=20, score_samples=30)
    few = data(train=12)
    found = floor(few, small, network(), real_statistics(few, small, network(), tmp_path), tmp_path)
    assert len(found) == 7
    assert np.isfinite(list(found.values())).all()


class Norm(Metric):
    """Mean norm of the features of generated images."""

    judges = "inception"
    title = "Norm"

    def measure(self, samples):
        return np.linalg.norm(samples.generated, axis=1).mean()


def test_a_metric_that_a_sweep_adds_is_measured_by_the_protocol_too(real, generated, tmp_path):
    own, name = scores(generated, real, SMALL), SMALL.recorded(Norm.name())
    found = scores(generated, real, SMALL, [Norm()])
    assert found == own | {name: pytest.approx(np.linalg.norm(generated.features[:10].numpy(), axis=1).mean())}
    assert SMALL.facts("ab" * 32, 40, [Norm()])[name]["n_fake"] == 10
    # Neither floor is the cached one of the other.
    for further in ([], [Norm()], []):
        assert (name in floor(data(), SMALL, network(), real, tmp_path, further)) == bool(further)
