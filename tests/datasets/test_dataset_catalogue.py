"""Contracts of every data set, and golden hashes of the content of those that need no files."""

import numpy as np
import pytest
import torch
from mnist_files import contents, expect, write
from published_files import (
    CIFAR,
    expect_cifar,
    write_celeba,
    write_cifar,
    write_lsun,
    write_pictures,
    write_stl10,
    write_svhn,
)

from lipschitz.datasets.base import DATASETS
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.datasets.transport.pair_data import PairData

CPU = torch.device("cpu")
HASHES = {
    "ball_to_ring": "1c58581a6da215c7b549404a561a35f5aff82dbf92f1d7b3a43031d7af18c153",
    "digits": "5cc96274a1402311c9439145e810da3725bdfbb31bafe098abdc398b9d20a517",
    "eight_gaussians": "74e47c49b6bddcc1706aff5c933646ec1e5e67787cdcbb2358fb980b24ef8f93",
    "funnels": "2cc8b4f36bee1faca987f225f160766db3be383fc28e56975836c03463ff3359",
    "line": "aa54ce7148673351e522619b1d49bba5c9b54bf6b555024583303de96690667e",
    "scaled_gaussian": "23de29ac8acc5a14971efdcc3525afe9afd708449321ed6fa1f2fe014f9e48bf",
    "stacked_digits": "8a45576864a921f76e958f8c17fa9d44bf71bbbe895f68b3e5cbf81dc5c324cc",
    "swiss_roll": "7a892899863ac6c9a4666d40458b01b6bd75127f6cd682965a3441781398af1d",
    "translation": "e22a6ae792ce13b5b3238b65529e0d996832109132d6a52f14aae4be48241aae",
    "twenty_five_gaussians": "0e0a9599fd378353832c1e2531c7f66492790dc9176475ab72a55503d6a8e16c",
}


FIELDS = {"npz": {"file": "some.npz"}, "folder": {"folder": "pictures", "size": 8}, "lsun": {"held_out": 0.5}}
"""Fields without a default, or with a default too large for small files."""


@pytest.fixture(params=DATASETS)
def dataset(request):
    return DATASETS[request.param](**FIELDS.get(request.param, {}))


@pytest.fixture
def data(dataset, tmp_path, monkeypatch):
    for name in ("MNIST", "FashionMNIST"):
        expect(monkeypatch, name, contents())
        write(tmp_path, name, contents(), packed=False)
    for name in CIFAR:
        write_cifar(tmp_path, name)
        expect_cifar(monkeypatch, tmp_path, name)
    write_svhn(tmp_path, monkeypatch)
    write_stl10(tmp_path, monkeypatch, n=5)
    write_celeba(tmp_path, monkeypatch, splits=[0, 2] * 5)
    write_pictures(tmp_path / "pictures", 20)
    if dataset.name() == "lsun":
        pytest.importorskip("lmdb", reason="LSUN is read by the package lmdb, which is not installed")
        write_lsun(tmp_path, n=10)
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "some.npz", images=images)
    return dataset.load(tmp_path, CPU)


def draws(data):
    if isinstance(data, PairData):
        return data.source, data.target
    return data.batch, data.reference, data.floor


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_names_are_the_names_of_the_modules():
    assert {"mnist", "fashion_mnist", *HASHES} <= set(DATASETS)
    assert all(cls.name() == name for name, cls in DATASETS.items())


def test_source_summary_and_shape_are_known_before_loading(dataset):
    assert dataset.source
    assert dataset.summary()
    assert len(dataset.shape) == (3 if dataset.kind == "images" else 1)
    assert dataset.kind == "images" or dataset.classes is None


def test_a_draw_has_the_declared_shape_and_depends_on_the_generator_only(dataset, data):
    assert data.shape == dataset.shape
    assert getattr(data, "classes", None) == dataset.classes
    for draw in draws(data):
        first, again, other = draw(5, rng(0)), draw(5, rng(0)), draw(5, rng(1))
        assert first.shape == (5, *dataset.shape)
        assert first.dtype == torch.float32
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_a_draw_does_not_use_the_global_generator(data):
    before = torch.get_rng_state()
    for draw in draws(data):
        draw(3, rng())
    assert torch.equal(before, torch.get_rng_state())


def test_reference_and_floor_share_no_sample(data):
    if isinstance(data, PairData):
        pytest.skip("a pair of distributions has no held-out part")
    generator = rng()
    n = min(100, data.sizes["held_out"] if isinstance(data, ImageData) else 100)
    reference, floor = data.reference(n, generator).flatten(1), data.floor(n, generator).flatten(1)
    assert float(torch.cdist(reference, floor).min()) > 0


@pytest.mark.parametrize("name", HASHES)
def test_the_content_hash_has_not_changed(name):
    assert DATASETS[name]().load(None, CPU).hash == HASHES[name]
