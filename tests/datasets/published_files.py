"""Small files in the formats of published data sets, and a torchvision that expects their checksums."""

import pickle

import numpy as np
from scipy.io import savemat

from lipschitz.datasets.catalogue import CATALOGUE
from lipschitz.datasets.checksums import md5_of

CIFAR = {
    "cifar10": ("labels", "label_names", 10),
    "cifar100": ("fine_labels", "fine_label_names", 100),
}


def theirs(name):
    """Return torchvision's class of the data set ``name``."""
    return CATALOGUE[name].torchvision()


def write_cifar(root, name, *, n=6, label=None, names=True):
    """Write CIFAR's pickles below ``root``; return its images as stored, (n, 3072), and labels, by file."""
    cls, (key, meta, classes) = theirs(name), CIFAR[name]
    folder = root / cls.base_folder
    folder.mkdir(parents=True)
    rng, stored = np.random.default_rng(0), {}
    for file, _ in [*cls.train_list, *cls.test_list]:
        data = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
        labels = [label] * n if label is not None else rng.integers(0, classes, n).tolist()
        (folder / file).write_bytes(pickle.dumps({"data": data, key: labels}))
        stored[file] = data, labels
    (folder / cls.meta["filename"]).write_bytes(pickle.dumps({meta: [str(k) for k in range(classes)]} if names else {}))
    return stored


def expect_cifar(monkeypatch, root, name):
    """Let torchvision list the checksums of the files as they are now."""
    cls = theirs(name)
    folder = root / cls.base_folder
    for table in ("train_list", "test_list"):
        monkeypatch.setattr(cls, table, [[file, md5_of(folder / file)] for file, _ in getattr(cls, table)])
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5_of(folder / cls.meta["filename"])})


def write_svhn(root, monkeypatch, *, n=7):
    """Write SVHN's files and expect their checksums; return (h, w, c, n) images and (n, 1) labels from 1 to 10."""
    root.mkdir(exist_ok=True)
    rng, stored, listed = np.random.default_rng(0), {}, {}
    for part, (url, file, _) in theirs("svhn").split_list.items():
        images = rng.integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
        labels = rng.permutation(np.arange(1, 11))[:n, None].astype(np.uint8)
        if part != "extra":
            savemat(root / file, {"X": images, "y": labels})
            stored[part] = images, labels
            listed[part] = [url, file, md5_of(root / file)]
    monkeypatch.setattr(theirs("svhn"), "split_list", {**theirs("svhn").split_list, **listed})
    return stored
