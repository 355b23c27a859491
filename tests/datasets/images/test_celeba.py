"""CelebA's images are cropped and resized; missing and broken files are named."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import write_celeba

from lipschitz.datasets.images.celeba import CelebA
from lipschitz.errors import InputError

CPU = torch.device("cpu")


def cropped(content, side=108, size=64):
    picture = Image.open(io.BytesIO(content))
    left, top = (178 - side) // 2, (218 - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, box)).transpose(2, 0, 1)


def test_faces_are_cropped_and_resized_and_the_test_split_is_held_out(tmp_path, monkeypatch):
    files = list(write_celeba(tmp_path, monkeypatch).values())
    data = CelebA().load(tmp_path, CPU)
    assert np.array_equal(data.train.images, [cropped(files[k]) for k in (0, 1, 5)])
    assert np.array_equal(data.held_out.images, [cropped(files[k]) for k in (3, 4)])
    assert data.classes is None


def test_a_broken_image_is_named(tmp_path, monkeypatch):
    write_celeba(tmp_path, monkeypatch)
    path = tmp_path / "celeba" / "img_align_celeba" / "000005.jpg"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=rf"^{path} cannot be used as an image: .*truncated"):
        CelebA().load(tmp_path, CPU)


def test_a_missing_image_is_named(tmp_path, monkeypatch):
    write_celeba(tmp_path, monkeypatch)
    (tmp_path / "celeba" / "img_align_celeba" / "000002.jpg").unlink()
    with pytest.raises(InputError, match=r"000002\.jpg cannot be used as an image: .*No such file"):
        CelebA().load(tmp_path, CPU)


def test_a_list_with_a_wrong_checksum_is_named(tmp_path, monkeypatch):
    write_celeba(tmp_path, monkeypatch)
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    with pytest.raises(InputError, match=r"list_eval_partition\.txt is truncated or corrupt: expected MD5"):
        CelebA().load(tmp_path, CPU)
