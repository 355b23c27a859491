"""SVHN is read from its .mat files."""

import numpy as np
import pytest
import torch
from published_files import write_svhn

from lipschitz.datasets.images.svhn import SVHN
from lipschitz.errors import InputError

CPU = torch.device("cpu")


def test_axes_are_reordered_and_label_10_becomes_0(tmp_path, monkeypatch):
    stored = write_svhn(tmp_path, monkeypatch)
    data = SVHN().load(tmp_path, CPU)
    for split, part in ((data.train, "train"), (data.held_out, "test")):
        images, labels = stored[part]
        assert np.array_equal(split.images, np.moveaxis(images, 3, 0).transpose(0, 3, 1, 2))
        assert split.labels.tolist() == (labels[:, 0] % 10).tolist()
    assert data.classes == 10


def test_a_wrong_checksum_is_named(tmp_path, monkeypatch):
    write_svhn(tmp_path, monkeypatch)
    path = tmp_path / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"test_32x32\.mat is truncated or corrupt: expected MD5"):
        SVHN().load(tmp_path, CPU)
