"""Images and labels are read from an .npz file; wrong arrays are refused in one line."""

import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lipschitz.datasets.images import npz_arrays
from lipschitz.datasets.images.npz import Npz
from lipschitz.errors import InputError

CPU = torch.device("cpu")
N = 20
HERE = Path("here")


def colour(n=N, size=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def save(folder, name="some.npz", **arrays):
    np.savez(folder / name, **arrays)
    return folder / name


def load(folder, **fields):
    return Npz(**{"file": "some.npz", "size": 8, **fields}).load(folder, CPU)


def test_colour_images_with_labels(tmp_path):
    images, labels = colour(), np.arange(N, dtype=np.uint8) % 2
    save(tmp_path, images=images, labels=labels, index=np.arange(N))
    data = load(tmp_path, num_classes=2, held_out=0.5)
    # Of each class, in 0 1 0 1 ..., the 2nd, 4th, ... is held out.
    kept = np.arange(N) % 4 < 2
    assert data.classes == 2
    assert np.array_equal(data.train.images, images[kept].transpose(0, 3, 1, 2))
    assert np.array_equal(data.held_out.images, images[~kept].transpose(0, 3, 1, 2))
    assert data.held_out.labels.tolist() == labels[~kept].tolist()
    assert data.held_out.labels.dtype == torch.int64


@pytest.mark.parametrize("last", [(), (1,)])
def test_grey_images_with_or_without_a_channel_axis(tmp_path, last):
    images = colour()[..., 0]
    save(tmp_path, images=images.reshape(*images.shape, *last))
    data = load(tmp_path, channels=1)
    assert data.shape == Npz(file="some.npz", size=8, channels=1).shape == (1, 8, 8)
    assert data.sizes == {"train": 15, "held_out": 5}
    assert np.array_equal(data.held_out.images[:, 0], images[3::4])
    assert data.classes is data.train.labels is None


def test_labels_are_ignored_without_num_classes(tmp_path):
    save(tmp_path, images=colour(), labels=np.full(N, 99))
    assert load(tmp_path).train.labels is None


def test_all_images_of_held_out_file_are_held_out(tmp_path):
    save(tmp_path, images=colour())
    save(tmp_path, "test.npz", images=colour(3, seed=1))
    data = load(tmp_path, held_out_file="test.npz")
    assert np.array_equal(data.train.images, colour().transpose(0, 3, 1, 2))
    assert np.array_equal(data.held_out.images, colour(3, seed=1).transpose(0, 3, 1, 2))


def test_an_absolute_file_needs_no_root(tmp_path):
    path = save(tmp_path, images=colour())
    assert load(None, file=str(path)).sizes["train"] == 15


@pytest.mark.parametrize(
    ("arrays", "fields", "message"),
    [
        ({"labels": np.arange(3)}, {}, r"some\.npz: expected the arrays images, got labels"),
        ({"images": colour()}, {"num_classes": 2}, r"some\.npz: expected the arrays images and labels, got images"),
        ({"images": colour() / 255}, {}, r"expected images of dtype uint8, got float64"),
        ({"images": colour(size=9)}, {}, r"expected images of shape \(n, 8, 8, 3\), n at least 1, got \(20, 9, 9, 3\)"),
        ({"images": colour()[:0]}, {}, r"expected images of shape \(n, 8, 8, 3\), n at least 1, got \(0, 8, 8, 3\)"),
        (
            {"images": colour()},
            {"channels": 1},
            r"expected images of shape \(n, 8, 8\) or \(n, 8, 8, 1\), n at least 1, got \(20, 8, 8, 3\)",
        ),
        ({"images": colour()[0]}, {}, r"expected images of shape .* got \(8, 8, 3\)"),
        (
            {"images": colour(), "labels": np.eye(20)},
            {"num_classes": 2},
            r"expected labels of integer dtype and shape \(20,\), got float64 and \(20, 20\)",
        ),
        (
            {"images": colour(), "labels": np.arange(20)},
            {"num_classes": 10},
            "expected labels from 0 to 9, got 10 for image 10",
        ),
        ({"images": colour(3)}, {}, "3 images are too few to hold out a share of 0.25"),
        ({"images": np.array([None])}, {}, r"some\.npz: expected images of dtype uint8, got object"),
        (
            {"images": colour(), "labels": np.full(20, None)},
            {"num_classes": 2},
            r"expected labels of integer dtype and shape \(20,\), got object and \(20,\)",
        ),
        ({"images": colour(), "labels": np.zeros(20, "m8[s]")}, {"num_classes": 2}, r"got timedelta64\[s\] and"),
    ],
)
def test_wrong_arrays_are_refused_in_one_line(tmp_path, arrays, fields, message):
    save(tmp_path, **arrays)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, **fields)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "some.npz") in str(caught.value)


def test_a_file_that_is_not_an_npz_archive_is_refused(tmp_path):
    path = tmp_path / "some.npz"
    with pytest.raises(InputError, match=r"cannot read .*some\.npz: No such file .*--data-root"):
        load(tmp_path)
    with path.open("wb") as file:
        np.save(file, colour())
    with pytest.raises(InputError, match=r"is not an \.npz file"):
        load(tmp_path)
    save(tmp_path, images=colour())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="or is truncated"):
        load(tmp_path)


def array_file(shape, descr="|u1", body=b"", version=b"\1\0"):
    """Return an .npy file with a header that says ``shape``, whatever its ``body`` is."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + body


LENGTH = r"some\.npz is not an \.npz file or is truncated: the header of images\.npy does not have the length of .*"
HOSTILE = {
    "10^12 images": (array_file((10**12, 8, 8, 3)), LENGTH),
    "10^6 images that are 10": (array_file((10**6, 8, 8, 3), body=bytes(1920)), LENGTH),
    "10 images that are more": (array_file((10, 8, 8, 3), body=bytes(1921)), LENGTH),
    "a negative number": (array_file((-10, 8, 8, 3), body=bytes(1920)), LENGTH),
    "a number of 4,000 digits": (array_file("1" + "0" * 3999), "some\\.npz is not an \\.npz file"),
    "none, by a number of 4,000 digits": (array_file(f"(0, 1{'0' * 3999})"), r"got \(0, 10000.*\.\.\. \(size"),
    "brackets": (array_file("(" * 5000), "some\\.npz is not an \\.npz file"),
    "a pickle": (array_file((1,), "|O", pickle.dumps(HERE)), "expected images of dtype uint8, got object"),
    "a version to come": (array_file((10, 8, 8, 3), version=b"\7\0"), r"version \(7, 0\) of the format"),
    "no array": (b"", "some\\.npz is not an \\.npz file"),
}


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_array_is_refused_in_one_line_before_it_is_read(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(npz_arrays, "_array", None)
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 220 + len(str(tmp_path))


def test_a_bomb_that_takes_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "some.npz", images=np.zeros((2000, 8, 8, 3), np.uint8))
    assert (tmp_path / "some.npz").stat().st_size < 4000
    monkeypatch.setattr(npz_arrays, "memory", lambda: 768_000)
    with pytest.raises(
        InputError, match=r"its arrays take 384,\d+ bytes, more than half of the memory of 768,000 bytes"
    ):
        load(tmp_path)
    monkeypatch.setattr(npz_arrays, "memory", lambda: 768_256)
    assert load(tmp_path).sizes["train"] == 1500


@pytest.mark.parametrize("save_", [np.savez, np.savez_compressed])
def test_a_flipped_bit_of_an_array_does_not_pass(tmp_path, save_):
    # Longer than what is decompressed at a time.
    save_(tmp_path / "some.npz", images=colour(60))
    whole, right = (tmp_path / "some.npz").read_bytes(), load(tmp_path).hash
    for place in range(0, len(whole), 97):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        (tmp_path / "some.npz").write_bytes(changed)
        with suppress(InputError):
            assert load(tmp_path).hash == right


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "some.npz")
    with pytest.raises(InputError, match=r"cannot read .*some\.npz: not a regular file"):
        load(tmp_path)


def test_names_in_the_archive_are_escaped(tmp_path):
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        archive.writestr("\x1b[31m\n", b"")
        archive.writestr("x" * 500, b"")
    with pytest.raises(InputError, match=r"expected the arrays images, got \\x1b\[31m , x+\.\.\.$"):
        load(tmp_path)


@pytest.mark.parametrize("fields", [{}, {"file": "a", "held_out": 1.0}, {"file": "a", "channels": 4}])
def test_fields_are_validated(fields):
    with pytest.raises(ValidationError):
        Npz(**fields)
