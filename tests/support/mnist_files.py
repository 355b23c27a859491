"""Write small files in MNIST's format, and let torchvision expect their checksums."""

import gzip
import hashlib
import struct

import numpy as np

from lipschitz.datasets.images import mnist
from lipschitz.datasets.images.torchvision_import import import_torchvision

SIZES = {"train": 12, "t10k": 5}
TABLES = {"MNIST": mnist.MNIST_MD5, "FashionMNIST": mnist.FASHION_MNIST_MD5}


def idx(array):
    """Return the idx format of a uint8 array: magic number, shape as big-endian integers, bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def contents(seed=0):
    """Return the contents of the four unpacked files by name, as arrays."""
    rng = np.random.default_rng(seed)
    images = {f"{s}-images-idx3-ubyte": rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for s, n in SIZES.items()}
    labels = {f"{s}-labels-idx1-ubyte": rng.permutation(n).astype(np.uint8) % 10 for s, n in SIZES.items()}
    return images | labels


def write(root, name, files, *, packed):
    """Write ``files`` below ``root`` in the layout of torchvision's data set ``name``."""
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for file, array in files.items():
        data = idx(array)
        (raw / (file + ".gz" * packed)).write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return raw


def expect(monkeypatch, name, files):
    """Replace the published checksums in both tables by those of ``files``."""

    def md5(data):
        return hashlib.md5(data, usedforsecurity=False).hexdigest()

    published = [(f"{file}.gz", md5(gzip.compress(idx(array), mtime=0))) for file, array in files.items()]
    monkeypatch.setattr(getattr(import_torchvision().datasets, name), "resources", published)
    for file, array in files.items():
        monkeypatch.setitem(TABLES[name], file, md5(idx(array)))
