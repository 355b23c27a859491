"""LSUN's scenes are read from their database, in memory or streamed."""

import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import write_lsun

from lipschitz.datasets.images import placement
from lipschitz.datasets.images.lsun import LSUN
from lipschitz.errors import InputError

pytest.importorskip("lmdb", reason="LSUN is read by the package lmdb, which is not installed")
CPU = torch.device("cpu")


def cropped(pixels):
    square = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR, (0, 4, 72, 76))
    return np.asarray(square).transpose(2, 0, 1)


@pytest.mark.parametrize("fits", [True, False])
def test_a_share_of_the_training_part_is_held_out(tmp_path, monkeypatch, fits):
    stored = write_lsun(tmp_path)
    if not fits:
        monkeypatch.setattr(placement, "memory_limit", lambda device: 0)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = LSUN(held_out=0.34).load(tmp_path, CPU)
    for split, places in (("train", (0, 1, 3, 4)), ("held_out", (2, 5))):
        assert np.array_equal(torch.cat(list(data.chunks(split))), [cropped(stored[k]) for k in places])


def test_the_working_folder_is_not_changed(tmp_path, monkeypatch):
    write_lsun(tmp_path / "root", scene="tower")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    assert LSUN(scene="tower", held_out=0.5).load(tmp_path / "root", CPU).sizes == {"train": 3, "held_out": 3}
    assert not list(work.iterdir())
    assert os.path.samefile(work, os.getcwd())  # noqa: PTH109, PTH121


def test_too_few_images_are_refused(tmp_path):
    write_lsun(tmp_path)
    with pytest.raises(InputError, match=r"data\.mdb: 6 images are too few to hold out a share of 0.01"):
        LSUN().load(tmp_path, CPU)


def test_a_file_that_is_not_a_database_is_refused(tmp_path):
    path = tmp_path / "bedroom_train_lmdb" / "data.mdb"
    path.parent.mkdir()
    path.write_bytes(b"text" * 5000)
    with pytest.raises(InputError, match=r"data set lsun in .* cannot be read: ") as caught:
        LSUN().load(tmp_path, CPU)
    assert "\n" not in str(caught.value)


def test_a_missing_scene_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing kitchen_train_lmdb/data\.mdb; to get it: lipschitz data lsun"):
        LSUN(scene="kitchen").load(tmp_path, CPU)


def test_without_lmdb_the_error_says_what_to_install(tmp_path, monkeypatch):
    write_lsun(tmp_path)
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(InputError, match="pip install lmdb"):
        LSUN().load(tmp_path, CPU)
