"""Streamed images equal images drawn from memory bit for bit, with right and wrong prefetching."""

import json
import os
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from lipschitz.datasets.images import placement
from lipschitz.datasets.images.crop import CropResize
from lipschitz.datasets.images.decode import LazyImages
from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.datasets.images.streaming import FOLLOWED, StreamedSplit
from lipschitz.errors import InputError

CPU = torch.device("cpu")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
PIXELS = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
LABELS = torch.arange(30) % 3


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lipschitz" / "datasets" / "hashes"


@pytest.fixture
def opened():
    """The number of times that each picture was opened."""
    return Counter()


@pytest.fixture
def pictures(opened):
    def open_(place):
        opened[place] += 1
        return Image.fromarray(PIXELS[place])

    names = [f"picture {k}" for k in range(len(PIXELS))]
    return LazyImages(names, open_, CropResize(4, 3, "none"), LABELS, fingerprint="pictures")


def load(source, device="cpu"):
    held_out = torch.arange(30) % 5 == 0
    return ImageData.load(source.where(~held_out), source.where(held_out), torch.device(device), classes=3)


def in_memory(device="cpu"):
    return load(Split(torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy()), LABELS), device)


@pytest.fixture
def nothing_fits(monkeypatch):
    monkeypatch.setattr(placement, "memory_limit", lambda device: 0)


def rng(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def draws(data, device="cpu"):
    """Return all that a run draws: batches by a training generator, reference and floor by another, and chunks."""
    training, evaluation = rng(0, device), rng(1, device)
    drawn = []
    for _ in range(3):
        drawn += [data.batch(5, training), *data.labelled_batch(5, training), data.batch(7, training)]
        drawn += [data.reference(4, evaluation), data.floor(6, evaluation)]
    return [each.cpu() for each in (*drawn, *data.chunks("train", 7), *data.chunks("held_out"))]


@pytest.mark.parametrize("device", DEVICES)
def test_streamed_draws_equal_draws_from_memory(pictures, nothing_fits, device):
    streamed, held = load(pictures, device), in_memory()
    assert isinstance(streamed.train, StreamedSplit)
    assert isinstance(held.train, Split)
    assert streamed.batch(3, rng(0, device)).device.type == device
    for each in ("hash", "sizes", "shape", "classes"):
        assert getattr(streamed, each) == getattr(held, each)
    if device == "cuda":
        # A GPU generator draws other numbers than a CPU generator.
        with pytest.MonkeyPatch.context() as roomy:
            roomy.setattr(placement, "memory_limit", lambda device: 1e9)
            held = in_memory(device)
    pairs = list(zip(draws(streamed, device), draws(held, device), strict=True))
    assert len(pairs) > 20
    assert all(torch.equal(one, other) for one, other in pairs)


def test_pictures_that_fit_into_memory_are_read_once(pictures, opened):
    data, held = load(pictures), in_memory()
    assert isinstance(data.train, Split)
    assert data.hash == held.hash
    assert torch.equal(data.train.images, held.train.images)
    draws(data)
    assert set(opened.values()) == {1}


def test_host_pixels_that_do_not_fit_on_the_device_are_streamed(nothing_fits):
    held = in_memory()
    assert isinstance(held.train, Split), "on the CPU nothing is streamed"
    streamed = ImageData(StreamedSplit(held.train, CPU), StreamedSplit(held.held_out, CPU), held.hash, 3)
    assert all(torch.equal(one, other) for one, other in zip(draws(streamed), draws(held), strict=True))


def read_so_far(data, opened):
    """The number of pictures that were opened, once nothing is being read."""
    data.train._reader.submit(int).result()
    return opened.total()


def test_the_batch_after_two_draws_in_a_row_is_prefetched(pictures, opened, nothing_fits):
    data, training = load(pictures), rng()
    opened.clear()
    for drawn, read in enumerate([8, 24, 32, 40], start=1):
        data.batch(8, training)
        assert read_so_far(data, opened) == read, drawn


def test_nothing_is_prefetched_for_an_evaluation_that_draws_once(pictures, opened, nothing_fits):
    data = load(pictures)
    opened.clear()
    for seed in range(3):
        data.batch(8, rng(seed))
    assert read_so_far(data, opened) == 3 * 8


def test_of_many_generators_the_earliest_are_forgotten(pictures, nothing_fits):
    data, many = load(pictures), [rng(seed) for seed in range(FOLLOWED + 5)]
    for training in many:
        data.batch(2, training)
    assert list(data.train._last) == [id(training) for training in many[5:]]


def test_prefetching_works_for_tasks_that_take_turns(pictures, opened, nothing_fits):
    data, one, other = load(pictures), rng(0), rng(1)
    opened.clear()
    same_one, same_other = rng(0), rng(1)
    for _ in range(5):
        assert torch.equal(data.batch(8, one), in_memory().batch(8, same_one))
        assert torch.equal(data.batch(8, other), in_memory().batch(8, same_other))
    assert opened.total() <= 2 * (5 + 1) * 8


def test_a_restored_generator_draws_the_same_batches_again(pictures, nothing_fits):
    data, training = load(pictures), rng()
    data.batch(4, training)
    state = training.get_state()
    first = [data.batch(4, training) for _ in range(3)]
    training.set_state(state)
    assert all(torch.equal(batch, data.batch(4, training)) for batch in first)
    elsewhere = torch.Generator()
    elsewhere.set_state(state)
    assert all(torch.equal(batch, load(pictures).batch(4, elsewhere)) for batch in first)


def test_a_wrongly_prefetched_batch_is_not_used(pictures, nothing_fits):
    def drawn(data):
        training = rng()
        first = data.batch(4, training)
        torch.randn(3, generator=training)
        return [first, data.batch(4, training), data.batch(6, training), training.get_state()]

    assert all(torch.equal(a, b) for a, b in zip(drawn(load(pictures)), drawn(in_memory()), strict=True))


def test_the_hash_is_cached_until_the_pictures_change(pictures, opened, nothing_fits, own_cache):
    first = load(pictures).hash
    opened.clear()
    assert load(pictures).hash == first
    assert not opened
    for other in (
        replace(pictures, fingerprint="touched"),
        replace(pictures, labels=LABELS.flip(0)),
        pictures.where(torch.arange(30) < 29),
    ):
        opened.clear()
        ImageData.load(other, other, CPU, classes=3)
        assert opened.total() == 2 * other.size
    for path in own_cache.glob("*.json"):
        assert json.loads(path.read_text()).keys() == {"hash", "repeated"}
        path.write_text("torn")
    assert load(pictures).hash == first


@pytest.mark.usefixtures("nothing_fits")
def test_repeated_images_are_counted_once_and_cached_with_the_hash(pictures, opened, monkeypatch):
    train, held_out = pictures.where(torch.arange(30) < 20), pictures.where(torch.arange(30) >= 17)
    for reads in (20 + 13, 0):
        opened.clear()
        streamed = ImageData.load(train, held_out, CPU, classes=3)
        assert streamed.repeated == 3
        assert opened.total() == reads
    monkeypatch.setattr(placement, "memory_limit", lambda device: 1e9)
    assert ImageData.load(train, held_out, CPU, classes=3).repeated == 3
    assert load(pictures).repeated == 0


def test_the_cache_key_is_that_of_earlier_versions(pictures, monkeypatch):
    monkeypatch.setattr("PIL.__version__", "11.0.0")
    assert pictures.cache_key() == "99656f12e7bbea8adefa3dffb7652ee185b00c653de23640572cd6357bd33b8a"
    assert replace(pictures, fingerprint=None).cache_key() is None


@pytest.mark.parametrize("fits", [True, False])
def test_the_first_broken_picture_is_named_and_nothing_is_cached(pictures, monkeypatch, fits, own_cache):
    def open_(place):
        if place in (11, 17):
            raise OSError("torn\nin two")
        return Image.fromarray(PIXELS[place])

    if not fits:
        monkeypatch.setattr(placement, "memory_limit", lambda device: 0)
    with pytest.raises(InputError, match=r"^picture 11 cannot be used as an image: torn$"):
        load(replace(pictures, open=open_))
    assert not list(own_cache.glob("*.json"))
    assert replace(pictures, open=open_).broken() == [11, 17]


def test_a_picture_that_is_deleted_later_is_named(pictures, nothing_fits):
    gone = []

    def open_(place):
        if gone:
            raise FileNotFoundError(f"no {place}")
        return Image.fromarray(PIXELS[place])

    data, training = load(replace(pictures, open=open_)), rng()
    data.batch(4, training)
    gone.append(True)
    with pytest.raises(InputError, match=r"picture \d+ cannot be used as an image: no \d+"):
        # The first batch may have been prefetched before the picture was deleted.
        [data.batch(4, training) for _ in range(2)]


def test_a_streamed_split_can_be_loaded_completely(pictures, nothing_fits):
    whole = load(pictures).train.to(CPU)
    assert torch.equal(whole.images, in_memory().train.images)
    assert torch.equal(whole.labels, in_memory().train.labels)


def test_the_memory_limit_is_an_eighth_of_physical_memory():
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert placement.memory_limit(CPU) == physical / 8
