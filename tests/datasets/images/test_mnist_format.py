"""MNIST and Fashion-MNIST are read from gzip files or unpacked files; missing and broken files are named."""

import gzip
import shutil

import pytest
import torch
from mnist_files import contents, expect, idx, write

from lipschitz.datasets.images.mnist import MNIST, FashionMNIST
from lipschitz.errors import InputError

CPU = torch.device("cpu")
FILES = contents()
IMAGES = "train-images-idx3-ubyte"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Use a cache folder for each test, and expect the checksums of the small files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("MNIST", "FashionMNIST"):
        expect(monkeypatch, name, FILES)
    return tmp_path / "cache" / "lipschitz" / "datasets" / "MNIST" / "raw"


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST])
@pytest.mark.parametrize("packed", [False, True])
def test_images_are_padded_with_black_and_splits_are_kept(tmp_path, dataset, packed):
    write(tmp_path, dataset.__name__, FILES, packed=packed)
    data = dataset().load(tmp_path, CPU)
    for split, prefix in ((data.train, "train"), (data.held_out, "t10k")):
        inner = split.images[:, 0, 2:-2, 2:-2]
        assert torch.equal(inner, torch.from_numpy(FILES[f"{prefix}-images-idx3-ubyte"]))
        assert int(split.images.sum()) == int(inner.sum())
        assert split.labels.tolist() == FILES[f"{prefix}-labels-idx1-ubyte"].tolist()
    assert data.shape == dataset().shape
    assert (data.class_names and data.class_names[0]) == {MNIST: None, FashionMNIST: "T-shirt/top"}[dataset]


def test_gzip_files_are_unpacked_into_the_cache_only(tmp_path, cache):
    raw = write(tmp_path, "MNIST", FILES, packed=True)
    before = sorted(raw.iterdir())
    MNIST().load(tmp_path, CPU)
    assert sorted(raw.iterdir()) == before
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == {n: idx(a) for n, a in FILES.items()}


def test_a_broken_copy_in_the_cache_is_replaced(tmp_path, cache):
    write(tmp_path, "MNIST", FILES, packed=True)
    expected = MNIST().load(tmp_path, CPU).hash
    (cache / IMAGES).write_bytes(b"torn")
    assert MNIST().load(tmp_path, CPU).hash == expected


def test_an_unpacked_folder_needs_no_cache(tmp_path, cache):
    write(tmp_path, "MNIST", FILES, packed=False)
    MNIST().load(tmp_path, CPU)
    assert not cache.exists()


def test_the_default_root_is_the_folder_data(tmp_path, monkeypatch):
    write(tmp_path / "data", "MNIST", FILES, packed=False)
    monkeypatch.chdir(tmp_path)
    assert MNIST().load(None, CPU).sizes["held_out"] == 5


def test_a_missing_data_set_is_named_with_the_command_to_get_it(tmp_path):
    with pytest.raises(InputError) as caught:
        MNIST().load(tmp_path / "nowhere", CPU)
    message = str(caught.value)
    assert "\n" not in message
    assert "data set mnist not found in" in message
    assert message.endswith(f"to get it: lipschitz data mnist --data-root {tmp_path / 'nowhere'}")
    assert all(file in message for file in FILES)


def test_a_single_missing_file_is_named(tmp_path):
    raw = write(tmp_path, "MNIST", FILES, packed=False)
    (raw / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"missing MNIST/raw/t10k-labels-idx1-ubyte; to get"):
        MNIST().load(tmp_path, CPU)


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_file_is_named_with_both_checksums(tmp_path, packed):
    raw = write(tmp_path, "MNIST", FILES, packed=packed)
    MNIST().load(tmp_path, CPU)
    path = raw / (IMAGES + ".gz" * packed)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"is truncated or corrupt: expected MD5 \w{32}, got \w{32}") as caught:
        MNIST().load(tmp_path, CPU)
    assert str(path) in str(caught.value)


def test_the_published_checksums_are_checked(tmp_path, monkeypatch):
    monkeypatch.undo()
    write(tmp_path, "MNIST", FILES, packed=False)
    with pytest.raises(InputError, match=r"expected MD5 6bbc9ace898e44ae57da46a324031adb"):
        MNIST().load(tmp_path, CPU)


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    write(tmp_path, "MNIST", FILES, packed=False)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("lipschitz.datasets.download.open_regular", refuse)
    with pytest.raises(InputError, match=rf"cannot read .*{IMAGES}: Permission denied"):
        MNIST().load(tmp_path, CPU)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, cache):
    write(tmp_path, "MNIST", FILES, packed=True)
    cache.parent.parent.mkdir(parents=True)
    cache.parent.touch()
    with pytest.raises(InputError, match=r"cannot write .*; set XDG_CACHE_HOME to another folder"):
        MNIST().load(tmp_path, CPU)


def test_gzip_files_and_unpacked_files_may_be_mixed(tmp_path):
    raw = write(tmp_path, "MNIST", FILES, packed=True)
    (raw / IMAGES).write_bytes(gzip.decompress((raw / f"{IMAGES}.gz").read_bytes()))
    assert MNIST().load(tmp_path, CPU).sizes["held_out"] == 5
    shutil.rmtree(raw)
    with pytest.raises(InputError, match="not found in"):
        MNIST().load(tmp_path, CPU)
