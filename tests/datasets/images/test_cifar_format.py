"""CIFAR-10 and CIFAR-100 are read from their pickles; missing and broken files are named."""

import pickle

import numpy as np
import pytest
import torch
from published_files import CIFAR, expect_cifar, torchvision_class, write_cifar

from lipschitz.datasets.base import DATASETS
from lipschitz.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture(params=CIFAR)
def name(request):
    return request.param


def written(tmp_path, monkeypatch, name, **options):
    stored = write_cifar(tmp_path, name, **options)
    expect_cifar(monkeypatch, tmp_path, name)
    return stored


def test_batches_are_read_in_order_and_the_test_split_is_held_out(tmp_path, monkeypatch, name):
    stored = written(tmp_path, monkeypatch, name)
    data = DATASETS[name]().load(tmp_path, CPU)
    assert data.classes == DATASETS[name]().classes == CIFAR[name][2]
    assert data.class_names == tuple(str(k) for k in range(data.classes)), "as the files call them"
    for split, files in (
        (data.train, torchvision_class(name).train_list),
        (data.held_out, torchvision_class(name).test_list),
    ):
        images = np.concatenate([stored[file][0] for file, _ in files]).reshape(-1, 3, 32, 32)
        assert np.array_equal(split.images, images)
        assert split.labels.tolist() == [label for file, _ in files for label in stored[file][1]]
    assert data.sizes["train"] == 6 * len(torchvision_class(name).train_list)


def test_a_wrong_checksum_is_named_with_the_expected_one(tmp_path, monkeypatch, name):
    written(tmp_path, monkeypatch, name)
    file, md5 = torchvision_class(name).test_list[0]
    path = tmp_path / torchvision_class(name).base_folder / file
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=rf"{file} is truncated or corrupt: expected MD5 {md5}, got \w{{32}} \("):
        DATASETS[name]().load(tmp_path, CPU)


def test_the_published_checksums_are_checked(tmp_path):
    write_cifar(tmp_path, "cifar10")
    with pytest.raises(InputError, match=r"data_batch_1 .* expected MD5 c99cafc152244af753f735de768cd75f"):
        DATASETS["cifar10"]().load(tmp_path, CPU)


def test_a_missing_file_is_named_with_the_command_to_get_it(tmp_path, monkeypatch, name):
    written(tmp_path, monkeypatch, name)
    file = torchvision_class(name).train_list[0][0]
    (tmp_path / torchvision_class(name).base_folder / file).unlink()
    with pytest.raises(
        InputError, match=rf"missing {torchvision_class(name).base_folder}/{file}; to get it: lipschitz data {name} --d"
    ):
        DATASETS[name]().load(tmp_path, CPU)


@pytest.mark.parametrize("content", [b"\x80\x04\x95", b"", b"text", b"cos\nno_such_thing\n."])
def test_a_file_that_is_not_a_pickle_is_a_one_line_error(tmp_path, monkeypatch, content):
    write_cifar(tmp_path, "cifar10")
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(content)
    expect_cifar(monkeypatch, tmp_path, "cifar10")
    with pytest.raises(InputError, match=r"data set cifar10 in .* cannot be read: .+; download it again") as caught:
        DATASETS["cifar10"]().load(tmp_path, CPU)
    assert "\n" not in str(caught.value)


def test_a_label_out_of_range_is_named(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, "cifar10", label=10)
    with pytest.raises(InputError, match="training images: expected labels from 0 to 9, got 10 for image 0"):
        DATASETS["cifar10"]().load(tmp_path, CPU)


def test_only_a_pickle_with_the_published_checksum_is_unpickled(tmp_path, monkeypatch, name):
    class Runs:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    written(tmp_path, monkeypatch, name)
    hostile = pickle.dumps(Runs())
    for file in DATASETS[name]().files():
        kept = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(hostile)
        with pytest.raises(InputError, match="is truncated or corrupt: expected MD5"):
            DATASETS[name]().load(tmp_path, CPU)
        (tmp_path / file).write_bytes(kept)
    assert not (tmp_path / "ran").exists()
    pickle.loads(hostile)
    assert (tmp_path / "ran").exists()
