"""From the same features, our metrics equal those of torch-fidelity and pytorch-fid's formula."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from lipschitz.datasets.images.torchvision_import import import_torchvision
from lipschitz.metrics.frechet import frechet_distance
from lipschitz.metrics.mmd import kid
from lipschitz.metrics.mutual_information import inception_score
from lipschitz.metrics.precision_recall import precision_recall_density_coverage

import_torchvision()
metric_fid = pytest.importorskip("torch_fidelity.metric_fid")
metric_isc = pytest.importorskip("torch_fidelity.metric_isc")
metric_kid = pytest.importorskip("torch_fidelity.metric_kid")
metric_prc = pytest.importorskip("torch_fidelity.metric_prc")


@pytest.fixture(scope="module")
def features():
    """Return features like an Inception network's: correlated, positive, of unequal scales, float32."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(96, 96)) * np.geomspace(1, 0.05, 96)
    fake, real = (np.maximum(0, rng.normal(size=(n, 96)) @ mixing + shift) for n, shift in ((400, 0.3), (500, 0.0)))
    return torch.from_numpy(fake.astype(np.float32)), torch.from_numpy(real.astype(np.float32))


def test_frechet_distance(features):
    fake, real = features
    theirs = metric_fid.fid_statistics_to_metric(
        metric_fid.fid_features_to_statistics(fake.double()),
        metric_fid.fid_features_to_statistics(real.double()),
        verbose=False,
    )["frechet_inception_distance"]
    assert frechet_distance(fake, real) == pytest.approx(theirs, rel=1e-6)


def test_frechet_distance_by_the_square_root_of_a_matrix(features):
    """The formula of pytorch-fid, whose own function needs an older SciPy."""
    fake, real = (x.double().numpy() for x in features)
    a, b = np.cov(fake, rowvar=False), np.cov(real, rowvar=False)
    root = np.trace(sqrtm(a @ b)).real
    theirs = np.sum((fake.mean(axis=0) - real.mean(axis=0)) ** 2) + np.trace(a) + np.trace(b) - 2 * root
    assert frechet_distance(fake, real) == pytest.approx(theirs, rel=1e-6)


def test_kid_of_one_full_subset(features):
    fake, real = features[0], features[1][:400]
    theirs = metric_kid.kid_features_to_metric(
        fake.double(), real.double(), kid_subsets=1, kid_subset_size=400, verbose=False
    )["kernel_inception_distance_mean"]
    assert kid(fake, real).mean == pytest.approx(theirs, rel=1e-8)


def test_inception_score(features):
    logits = features[0][:, :20] * 3
    theirs = metric_isc.isc_features_to_metric(logits, splits=10, shuffle=False)
    ours = inception_score(logits, splits=10)
    assert ours.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-9)
    assert ours.std == pytest.approx(theirs["inception_score_std"], rel=1e-6)


@pytest.mark.parametrize("k", [3, 5])
def test_precision_and_recall(features, k):
    fake, real = features
    theirs = metric_prc.prc_features_to_metric(fake.double(), real.double(), prc_neighborhood=k, verbose=False)
    ours = precision_recall_density_coverage(fake, real, k)
    assert 0 < ours.precision < 1
    assert ours.precision == pytest.approx(theirs["precision"], rel=1e-6)
    assert ours.recall == pytest.approx(theirs["recall"], rel=1e-6)
