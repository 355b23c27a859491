import numpy as np
import pytest
from inception_stand_in import data, network

from lipschitz.features import scores as module
from lipschitz.features.inception import Embedded
from lipschitz.features.protocols import SNGAN
from lipschitz.features.scores import floor, scores
from lipschitz.features.statistics import embedded_draw, real_statistics
from lipschitz.metrics.frechet import frechet_distance
from lipschitz.metrics.inception_score import inception_score
from lipschitz.metrics.kid import kid
from lipschitz.metrics.precision_recall import precision_recall_density_coverage

SMALL = SNGAN(n_real=20, n_fake=10, score_samples=30)
LABEL = "sngan(n_real=20, n_fake=10, score_samples=30)"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return real_statistics(data(), SMALL, network(), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def generated():
    return embedded_draw(data(seed=9), "train", 30, network(), "pytorch_fid")


def test_each_number_is_of_as_many_images_as_the_protocol_says(real, generated):
    found = scores(generated, real, SMALL)
    features = generated.features
    reference = embedded_draw(data(), "held_out", 20, network(), "pytorch_fid").features
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


def test_many_images_are_compared_in_the_same_subsets_every_time(real, generated, monkeypatch):
    monkeypatch.setattr(module, "SUBSET_SIZE", 6)
    monkeypatch.setattr(module, "SUBSETS", 3)
    values = [scores(generated, real, SMALL)[f"kid/{LABEL}"] for _ in range(2)]
    rng = np.random.default_rng(0)
    assert (
        values[0]
        == values[1]
        == pytest.approx(kid(generated.features[:10], real.features, subsets=3, size=6, rng=rng).mean)
    )


def test_a_collapsed_generator_has_finite_numbers(real):
    collapsed = Embedded(
        *(np.repeat(rows[:1], 30, axis=0) for rows in embedded_draw(data(), "train", 1, network(), "pytorch_fid"))
    )
    found = scores(collapsed, real, SMALL)
    assert np.isfinite(list(found.values())).all()
    assert found[f"inception_score/{LABEL}"] == pytest.approx(1)


def test_the_floor_is_of_the_other_split_and_kept(real, tmp_path, monkeypatch):
    found = floor(data(), SMALL, network(), real, tmp_path)
    assert found == scores(embedded_draw(data(), "train", 30, network(), "pytorch_fid"), real, SMALL)
    monkeypatch.setattr(module, "embedded_draw", None)
    assert floor(data(), SMALL, network(), real, tmp_path) == found


def test_a_floor_of_fewer_images_than_are_generated_is_of_those_there_are(tmp_path):
    small = SNGAN(n_real=20, n_fake=20, score_samples=30)
    few = data(train=12)
    found = floor(few, small, network(), real_statistics(few, small, network(), tmp_path), tmp_path)
    assert len(found) == 7
    assert np.isfinite(list(found.values())).all()
