"""Reference classifier: a small classifier of the data set, trained once and cached, whose features compare images.

It replaces the Inception network of the FID and needs no downloaded weights. Its distances compare methods on one data
set. They are not FIDs and cannot be compared across data sets.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lipschitz.cache import Cache, cache_folder
from lipschitz.datasets.images.image_data import ImageData, Placed, to_floats
from lipschitz.models.classifier import Classifier
from lipschitz.random_streams import stream, stream_seed

VERSION = 1
"""Part of the cache key; increase it with every change that changes the trained weights."""
BATCH = 250
"""Number of images in a forward pass."""


@dataclass(frozen=True)
class Recipe:
    """Training of the classifier: AdamW with a one-cycle schedule (Smith and Topin 2017, arXiv:1708.07120)."""

    steps: int = 500
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class FeatureExtractor:
    """A trained classifier as a map from images to features."""

    net: Classifier
    """In float64, so that the features do not depend on device, TF32 or batch size, up to float64 rounding."""
    accuracy: float
    """Share of held-out images that are classified correctly."""
    sha256: str
    """SHA-256, in hex, of the weights."""

    def features(self, images: Tensor) -> np.ndarray:
        """Map float images ``(n, c, h, w)`` in [-1, 1] to float64 features ``(n, 64)``, without random numbers.

        Generated images must be quantised to 8 bits first, as real images are.
        """
        weight = self.net.head.weight
        with torch.no_grad():
            parts = [self.net.features(part.to(weight)) for part in torch.split(images, BATCH)]
        return torch.cat(parts).cpu().numpy()

    def classes(self, features: np.ndarray) -> np.ndarray:
        """Return the predicted class, int64 ``(n,)``, of images with ``features`` ``(n, 64)``."""
        head = self.net.head
        with torch.no_grad():
            scores: Tensor = head(torch.from_numpy(features).to(head.weight))
        return scores.argmax(dim=1).cpu().numpy()


def reference_classifier(data: ImageData, device: torch.device, cache: Path | None = None) -> FeatureExtractor:
    """Return the classifier of ``data`` on ``device``, from the folder ``cache`` or the user's cache, or trained now.

    It is always trained on the CPU with one thread, so that runs on different devices use the same network. If several
    processes ask for it at the same time, one of them trains it. A cached file that cannot be read is replaced, with a
    warning that names it.

    Raises:
        InputError: the cache folder cannot be written.
    """
    recipe = Recipe()
    facts = {"data": data.hash, "version": VERSION, "torch": torch.__version__, **asdict(recipe)}
    classifiers = Cache("a reference classifier", "pt", partial(_read, data), _write)
    net, accuracy, sha256 = classifiers.get(
        cache or cache_folder("classifiers"), facts, lambda: _train_and_evaluate(data, recipe)
    )
    return FeatureExtractor(net.double().to(device), accuracy, sha256)


_Saved = tuple[Classifier, float, str]


def _read(data: ImageData, path: Path) -> _Saved:
    saved = torch.load(path, map_location="cpu", weights_only=True)
    if hash_of_weights(saved["weights"]) != saved["sha256"]:
        raise ValueError("its weights do not have the hash recorded with them")
    net = Classifier(_image_shape(data), _classes(data))
    net.load_state_dict(saved["weights"])
    return net, float(saved["accuracy"]), str(saved["sha256"])


def _write(file: BinaryIO, classifier: _Saved) -> None:
    net, accuracy, sha256 = classifier
    torch.save({"weights": dict(net.state_dict()), "accuracy": accuracy, "sha256": sha256}, file)


def _train_and_evaluate(data: ImageData, recipe: Recipe) -> _Saved:
    net = train(data, recipe)
    return net, _accuracy(net, data.held_out), hash_of_weights(net.state_dict())


def train(data: ImageData, recipe: Recipe) -> Classifier:
    """Train a classifier of ``data.train`` on the CPU. It depends only on the arguments and changes no global state."""
    labels = _labels(data.train)
    rng = stream(recipe.seed, "reference_classifier/batches")
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(stream_seed(recipe.seed, "reference_classifier/weights"))
        net = Classifier(_image_shape(data), _classes(data))
        optimiser = torch.optim.AdamW(net.parameters(), weight_decay=recipe.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=recipe.steps)
        for _ in range(recipe.steps):
            index = torch.randint(len(labels), (recipe.batch_size,), generator=rng)
            scores = net(to_floats(_images_at(data.train, index)))
            loss = cross_entropy(scores, labels[index], label_smoothing=recipe.label_smoothing)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    return net


def _accuracy(net: Classifier, split: Placed) -> float:
    with torch.no_grad(), _one_thread():
        guesses = [net(to_floats(part.cpu())).argmax(dim=1) for part in split.chunks(BATCH)]
    return float((torch.cat(guesses) == _labels(split)).double().mean())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: the order of summation, and so the weights, must not depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def hash_of_weights(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256, in hex, of names, dtypes, shapes and values of a state dict on the CPU."""
    digest = hashlib.sha256()
    for name, tensor in weights.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _image_shape(data: ImageData) -> tuple[int, int, int]:
    channels, height, width = data.shape
    return channels, height, width


def _classes(data: ImageData) -> int:
    if data.classes is None:
        raise ValueError("a reference classifier needs images with labels")
    return data.classes


def _labels(split: Placed) -> Tensor:
    """Return the labels on the CPU."""
    if split.labels is None:
        raise ValueError("a reference classifier needs images with labels")
    return split.labels.cpu()


def _images_at(split: Placed, index: Tensor) -> Tensor:
    """Return the images at ``index`` on the CPU; from a streamed split no other images are read."""
    assert split.labels is not None
    return split.take(index.to(split.labels.device)).cpu()
