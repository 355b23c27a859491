"""Write small files in the formats of published data sets, and let torchvision expect their checksums."""

import io
import pickle

import numpy as np
from PIL import Image
from scipy.io import savemat

from lipschitz.datasets.base import DATASETS
from lipschitz.datasets.download import md5_of

CIFAR = {
    "cifar10": ("labels", "label_names", 10),
    "cifar100": ("fine_labels", "fine_label_names", 100),
}


def torchvision_class(name):
    """Return torchvision's class of the data set ``name``."""
    return DATASETS[name].torchvision()


def write_cifar(root, name, *, n=6, label=None, names=True):
    """Write CIFAR's pickles below ``root``; return its images as stored, (n, 3072), and labels, by file."""
    cls, (key, meta, classes) = torchvision_class(name), CIFAR[name]
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
    """Replace torchvision's checksums by those of the written files."""
    cls = torchvision_class(name)
    folder = root / cls.base_folder
    for table in ("train_list", "test_list"):
        monkeypatch.setattr(cls, table, [[file, md5_of(folder / file)] for file, _ in getattr(cls, table)])
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5_of(folder / cls.meta["filename"])})


def write_svhn(root, monkeypatch, *, n=7):
    """Write SVHN's files and expect their checksums; return (h, w, c, n) images and (n, 1) labels from 1 to 10."""
    root.mkdir(exist_ok=True)
    rng, stored, listed = np.random.default_rng(0), {}, {}
    for part, (url, file, _) in torchvision_class("svhn").split_list.items():
        images = rng.integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
        labels = rng.permutation(np.arange(1, 11))[:n, None].astype(np.uint8)
        if part != "extra":
            savemat(root / file, {"X": images, "y": labels})
            stored[part] = images, labels
            listed[part] = [url, file, md5_of(root / file)]
    monkeypatch.setattr(torchvision_class("svhn"), "split_list", {**torchvision_class("svhn").split_list, **listed})
    return stored


def write_stl10(root, monkeypatch, *, n=4):
    """Write STL-10's files and expect their checksums; return (n, 96, 96, 3) images by file."""
    cls = torchvision_class("stl10")
    folder = root / cls.base_folder
    folder.mkdir(parents=True)
    rng, stored = np.random.default_rng(0), {}
    for table in ("train_list", "test_list"):
        for file, _ in getattr(cls, table):
            if file.endswith("_y.bin"):
                (folder / file).write_bytes(bytes(range(1, n + 1)))
            else:
                stored[file] = rng.integers(0, 256, (n, 96, 96, 3), dtype=np.uint8)
                # As published: by channel, then column by column.
                (folder / file).write_bytes(stored[file].transpose(0, 3, 2, 1).tobytes())
        listed = [[file, md5_of(folder / file)] for file, _ in getattr(cls, table)]
        monkeypatch.setattr(cls, table, listed)
    return stored


def jpeg(pixels):
    """Return a JPEG of (h, w, 3) pixels."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def write_celeba(root, monkeypatch, *, splits=(0, 0, 1, 2, 2, 0), size=(218, 178)):
    """Write CelebA's lists and images and expect the lists' checksums; return each JPEG by name."""
    cls = torchvision_class("celeba")
    folder = root / cls.base_folder
    (folder / "img_align_celeba").mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = {f"{k:06}.jpg": jpeg(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for k in range(1, len(splits) + 1)}
    for name, content in files.items():
        (folder / "img_align_celeba" / name).write_bytes(content)
    rows = {
        "list_attr_celeba.txt": ["1 -1"] * len(files),
        "identity_CelebA.txt": [str(k) for k in range(len(files))],
        "list_bbox_celeba.txt": ["1 2  3 4"] * len(files),
        "list_landmarks_align_celeba.txt": ["1 2 3 4 5 6 7 8 9 10"] * len(files),
        "list_eval_partition.txt": [str(split) for split in splits],
    }
    for name, values in rows.items():
        lines = [f"{file} {value}" for file, value in zip(files, values, strict=True)]
        head = [str(len(files)), "some names"] if name.startswith("list_") and "partition" not in name else []
        (folder / name).write_text("\n".join([*head, *lines, ""]))
    monkeypatch.setattr(
        cls,
        "file_list",
        [(key, md5 if name.endswith(".zip") else md5_of(folder / name), name) for key, md5, name in cls.file_list],
    )
    return files


def write_lsun(root, *, n=6, scene="bedroom"):
    """Write a database of JPEGs in LSUN's format; return the decoded pixels in the order of the keys."""
    import lmdb

    path = root / f"{scene}_train_lmdb"
    path.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = {f"{k:040x}".encode(): jpeg(rng.integers(0, 256, (80, 72, 3), dtype=np.uint8)) for k in range(n)}
    with lmdb.open(str(path), map_size=2**24) as database, database.begin(write=True) as writing:
        for key, content in files.items():
            writing.put(key, content)
    return [np.asarray(Image.open(io.BytesIO(content))) for content in files.values()]


def write_pictures(folder, n=8, *, size=(10, 12), suffix="png", seed=0):
    """Write pictures named 0, 1, ...; return their pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8)
    for k, each in enumerate(pixels):
        Image.fromarray(each).save(folder / f"{k}.{suffix}")
    return pixels
