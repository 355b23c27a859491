"""The reference classifier: accuracy, features, and training once with a cache."""

import functools
import threading

import numpy as np
import pytest
import torch

from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.errors import InputError
from lipschitz.features import reference_classifier as module
from lipschitz.features.reference_classifier import Recipe, reference_classifier, train
from lipschitz.metrics.frechet import frechet_distance
from lipschitz.models.classifier import Classifier

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return Digits().load(None, CPU)


@pytest.fixture(scope="module")
def of_digits(digits, tmp_path_factory):
    return reference_classifier(digits, CPU, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def trainings(monkeypatch):
    """Shorten the recipe, and return the list of trainings that take place."""
    made = []

    def counted(data, recipe):
        made.append(recipe)
        return train(data, recipe)

    monkeypatch.setattr(module, "Recipe", functools.partial(Recipe, steps=20))
    monkeypatch.setattr(module, "train", counted)
    return made


def light_and_dark(size=8, channels=1, dark=40):
    """Return images of two classes that differ in brightness."""
    labels = torch.arange(32) % 2
    images = torch.where(labels == 0, dark, 220).to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, channels, size, size)
    train, held_out = Split(images.contiguous(), labels), Split(images[:10].contiguous(), labels[:10])
    return ImageData.load(train, held_out, CPU, classes=2)


def test_held_out_digits_are_classified(of_digits):
    assert of_digits.accuracy > 0.97


def test_features_are_float64_and_do_not_depend_on_the_batch(digits, of_digits):
    images = digits.reference(300, torch.Generator().manual_seed(0))
    features = of_digits.features(images)
    assert features.shape == (300, 64)
    assert features.dtype == np.float64
    assert of_digits.features(images[7:9]) == pytest.approx(features[7:9], rel=1e-12, abs=1e-12)


def test_most_features_vary_over_images(digits, of_digits):
    spread = of_digits.features(digits.reference(896, torch.Generator().manual_seed(0))).std(axis=0)
    assert np.mean(spread > 0.01 * spread.max()) > 0.9


def test_classes_of_features_are_those_of_the_network(digits, of_digits):
    images = digits.reference(200, torch.Generator().manual_seed(0))
    classes = of_digits.classes(of_digits.features(images))
    assert np.array_equal(classes, of_digits.net(images.double()).argmax(dim=1))
    assert set(classes) == set(range(10))


def test_the_distance_to_held_out_images_is_small_and_to_noise_large(digits, of_digits):
    rng = torch.Generator().manual_seed(0)
    real = of_digits.features(digits.reference(896, rng))
    floor = frechet_distance(real, of_digits.features(digits.floor(896, rng)))
    noise = frechet_distance(real, of_digits.features(torch.rand(896, 1, 8, 8, generator=rng) * 2 - 1))
    assert noise > 50 * floor


def test_the_second_call_reads_the_cache(tmp_path, trainings):
    data = light_and_dark()
    first, second = (reference_classifier(data, CPU, tmp_path) for _ in range(2))
    assert len(trainings) == 1
    assert second.sha256 == first.sha256
    assert second.accuracy == first.accuracy == 1
    images = data.floor(4, torch.Generator())
    assert np.array_equal(first.features(images), second.features(images))


def test_training_is_a_function_of_data_and_recipe():
    data = light_and_dark()
    one, same, other = (train(data, Recipe(steps=5, seed=seed)).head.weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_data_recipe_and_version_are_part_of_the_cache_key(tmp_path, trainings, monkeypatch):
    reference_classifier(light_and_dark(), CPU, tmp_path)
    reference_classifier(light_and_dark(dark=41), CPU, tmp_path)
    monkeypatch.setattr(module, "Recipe", functools.partial(Recipe, steps=21))
    reference_classifier(light_and_dark(), CPU, tmp_path)
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    reference_classifier(light_and_dark(), CPU, tmp_path)
    assert len(trainings) == len(list(tmp_path.glob("*.pt"))) == 4


def test_global_random_state_and_threads_stay_as_they_were(tmp_path, trainings):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    reference_classifier(light_and_dark(), CPU, tmp_path).features(torch.zeros(2, 1, 8, 8))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_simultaneous_calls_train_once(tmp_path, trainings):
    data, got = light_and_dark(), []
    threads = [
        threading.Thread(target=lambda: got.append(reference_classifier(data, CPU, tmp_path).sha256)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trainings) == 1
    assert len(got) == 4
    assert len(set(got)) == 1


class Trap:
    """Creates a file if unpickling it runs code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def truncate(path):
    path.write_bytes(path.read_bytes()[:200])


def overwrite(path):
    path.write_bytes(b"not a file of torch")


def change_a_weight(path):
    saved = torch.load(path, weights_only=True)
    saved["weights"]["head.bias"][0] += 1
    torch.save(saved, path)


def remove_the_hash(path):
    torch.save({"weights": {}}, path)


def plant_a_trap(path):
    torch.save(Trap(path.with_name("sprung")), path)


@pytest.mark.parametrize("damage", [truncate, overwrite, change_a_weight, remove_the_hash, plant_a_trap])
def test_a_broken_file_is_named_and_replaced_and_never_executed(tmp_path, trainings, caplog, damage):
    data = light_and_dark()
    expected = reference_classifier(data, CPU, tmp_path).sha256
    (path,) = tmp_path.glob("*.pt")
    damage(path)
    assert reference_classifier(data, CPU, tmp_path).sha256 == expected
    assert len(trainings) == 2
    assert str(path) in caplog.text
    caplog.clear()
    assert reference_classifier(data, CPU, tmp_path).sha256 == expected
    assert not caplog.text
    assert not (tmp_path / "sprung").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*; set XDG_CACHE_HOME"):
        reference_classifier(light_and_dark(), CPU, tmp_path / "missing")


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (32, 1), (48, 3)])
def test_the_classifier_takes_images_of_every_size(size, channels):
    net = Classifier((channels, size, size), classes=3)
    images = torch.zeros(2, channels, size, size)
    assert net(images).shape == (2, 3)
    assert net.features(images).shape == (2, 64)
    assert torch.allclose(net.head(net.features(images)), net(images))
