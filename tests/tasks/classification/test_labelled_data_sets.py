"""A classifier trains on each labelled data set, from small files in its format, in memory and streamed."""

from collections.abc import Callable
from pathlib import Path

import mnist_files
import numpy as np
import pytest
import torch
from published_files import expect_cifar, write_cifar, write_pictures, write_svhn
from small_classification_task import CPU, SETTING

from lipschitz.constraints.gouk_projection import GoukProjection
from lipschitz.datasets.base import DATASETS, Dataset
from lipschitz.datasets.images import placement
from lipschitz.datasets.images.folder import Folder
from lipschitz.datasets.images.npz import Npz
from lipschitz.models.mlp_classifier import MLPClassifier
from lipschitz.tasks.augmentation import Crop, Flip
from lipschitz.tasks.classification.classification import ClassificationTask
from lipschitz.tasks.classification.classifier_training import ClassifierTraining
from lipschitz.tasks.losses import CrossEntropy
from lipschitz.tasks.terms import Evaluation, Terms, Training

Patch = pytest.MonkeyPatch


def cifar(name: str) -> Callable[[Path, Patch], Dataset]:
    def written(root: Path, patch: Patch) -> Dataset:
        write_cifar(root, name, n=12)
        expect_cifar(patch, root, name)
        return DATASETS[name]()

    return written


def svhn(root: Path, patch: Patch) -> Dataset:
    write_svhn(root, patch, n=10)
    return DATASETS["svhn"]()


def mnist(name: str, folder: str) -> Callable[[Path, Patch], Dataset]:
    def written(root: Path, patch: Patch) -> Dataset:
        content = mnist_files.contents()
        mnist_files.write(root, folder, content, packed=False)
        mnist_files.expect(patch, folder, content)
        return DATASETS[name]()

    return written


def folder_of_classes(root: Path, _: Patch) -> Dataset:
    for k in range(3):
        write_pictures(root / "pictures" / f"class {k}", 6, seed=k)
    return Folder(folder="pictures", size=8, num_classes=3)


def npz(root: Path, _: Patch) -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
    # Unsigned labels, as published files have them.
    np.savez(root / "own.npz", images=images, labels=(np.arange(24) % 3).astype(np.uint8))
    return Npz(file="own.npz", size=8, channels=1, num_classes=3)


WRITTEN = {
    "cifar10": cifar("cifar10"),
    "cifar100": cifar("cifar100"),
    "svhn": svhn,
    "mnist": mnist("mnist", "MNIST"),
    "fashion_mnist": mnist("fashion_mnist", "FashionMNIST"),
    "folder": folder_of_classes,
    "npz": npz,
}


def training(dataset: Dataset, root: Path) -> ClassifierTraining:
    terms = Terms(
        MLPClassifier(width=4, depth=1, activation="leaky_relu", dropout=0.2),
        (GoukProjection(),),
        CrossEntropy(),
        SETTING,
        0,
        Training(steps=5, batch_size=4, augment=(Flip(), Crop(padding=1))),
        Evaluation(samples=10, gradient_samples=2),
        selection="accuracy/validation",
        device=CPU,
    )
    task = ClassificationTask(validation=0.2, attacked=4).build(dataset.load(root, CPU), terms)
    assert isinstance(task, ClassifierTraining)
    return task


@pytest.mark.usefixtures("brief_bracket")
@pytest.mark.parametrize("name", WRITTEN)
def test_a_classifier_trains_on_the_files_of_each_data_set(name: str, tmp_path: Path, monkeypatch: Patch) -> None:
    dataset = WRITTEN[name](tmp_path, monkeypatch)
    task = training(dataset, tmp_path)
    for step in range(5):
        task.step(step / 5)
    values = task.evaluate("step 5") | task.evaluate_at_end()
    assert task.is_finite()
    assert all(0 <= values[f"accuracy/{part}"] <= 1 for part in ("train", "validation", "test"))
    assert 0 < values["lipschitz_lower"] <= values["lipschitz_upper"]
    assert {"pgd_accuracy/1", "certified_accuracy/1"} <= values.keys()
    classes = task.classifier(torch.zeros(1, *dataset.shape)).shape[1]
    assert classes == dataset.classes


def test_streamed_images_train_the_same_classifier(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    dataset = folder_of_classes(tmp_path, monkeypatch)
    in_memory = training(dataset, tmp_path)
    assert in_memory.uncapturable_reason() is None
    monkeypatch.setattr(placement, "memory_limit", lambda device: 0)
    streamed = training(dataset, tmp_path)
    assert streamed.uncapturable_reason() == "its images are streamed from the host"
    for step in range(5):
        in_memory.step(step / 5)
        streamed.step(step / 5)
    for ours, theirs in zip(streamed.classifier.parameters(), in_memory.classifier.parameters(), strict=True):
        assert torch.equal(ours, theirs)
