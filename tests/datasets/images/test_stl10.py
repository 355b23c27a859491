"""STL-10 is read from its binary files and resized to 48x48."""

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import write_stl10

from lipschitz.datasets.images.stl10 import STL10
from lipschitz.errors import InputError

CPU = torch.device("cpu")


def test_training_images_are_the_labelled_and_unlabelled_ones_at_48_pixels(tmp_path, monkeypatch):
    stored = write_stl10(tmp_path, monkeypatch)
    data = STL10().load(tmp_path, CPU)

    def resized(file):
        return [
            np.asarray(Image.fromarray(each).resize((48, 48), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
            for each in stored[file]
        ]

    assert np.array_equal(data.train.images, resized("train_X.bin") + resized("unlabeled_X.bin"))
    assert np.array_equal(data.held_out.images, resized("test_X.bin"))
    assert data.classes is data.train.labels is None


def test_at_96_pixels_images_are_not_resized(tmp_path, monkeypatch):
    stored = write_stl10(tmp_path, monkeypatch)
    data = STL10(size=96, resize="none").load(tmp_path, CPU)
    assert data.shape == (3, 96, 96)
    assert np.array_equal(data.held_out.images, stored["test_X.bin"].transpose(0, 3, 1, 2))


def test_a_wrong_checksum_is_named(tmp_path, monkeypatch):
    write_stl10(tmp_path, monkeypatch)
    (tmp_path / "stl10_binary" / "test_y.bin").write_bytes(b"short")
    with pytest.raises(InputError, match=r"test_y\.bin is truncated or corrupt: expected MD5 \w{32}, got \w{32}"):
        STL10().load(tmp_path, CPU)
