"""Images of a folder are read as a data set; broken images are named or skipped."""

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import write_pictures
from pydantic import ValidationError

from lipschitz.datasets.images.folder import Folder
from lipschitz.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def load(root, **fields):
    return Folder(**{"folder": "pictures", "size": 10, "resize": "none", **fields}).load(root, CPU)


def chw(pixels):
    return np.asarray(pixels).transpose(0, 3, 1, 2)


def test_pictures_of_all_subfolders_are_read_in_order_of_their_paths(tmp_path):
    first = write_pictures(tmp_path / "pictures" / "a", 3, size=(10, 10))
    second = write_pictures(tmp_path / "pictures" / "b" / "c", 5, size=(10, 10), suffix="BMP", seed=1)
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    (tmp_path / "pictures" / ".hidden.png").write_bytes(b"no picture")
    data = load(tmp_path)
    every = chw([*first, *second])
    assert np.array_equal(data.held_out.images, every[[3, 7]])
    assert np.array_equal(data.train.images, np.delete(every, [3, 7], axis=0))
    assert data.classes is data.class_names is None


def test_each_subfolder_is_a_class(tmp_path):
    pixels = {
        name: write_pictures(tmp_path / "pictures" / name, n, size=(10, 10), seed=n)
        for name, n in (("dog", 4), ("cat", 2), ("emu", 6))
    }
    data = load(tmp_path, num_classes=3, held_out=0.5)
    assert data.held_out.labels.tolist() == [0, 1, 1, 2, 2, 2]
    assert np.array_equal(data.held_out.images, chw(np.concatenate([pixels[k][1::2] for k in ("cat", "dog", "emu")])))
    assert data.classes == 3
    assert data.class_names == ("cat", "dog", "emu")


def test_all_images_of_held_out_folder_are_held_out(tmp_path):
    train = write_pictures(tmp_path / "pictures", 3, size=(10, 10))
    test = write_pictures(tmp_path / "test", 2, size=(10, 10), seed=1)
    data = load(None, folder=str(tmp_path / "pictures"), held_out_folder=str(tmp_path / "test"))
    assert np.array_equal(data.train.images, chw(train))
    assert np.array_equal(data.held_out.images, chw(test))


def test_pictures_of_any_size_are_cropped_and_resized(tmp_path):
    pixels = write_pictures(tmp_path / "pictures", 4, size=(9, 15))
    data = load(tmp_path, size=4, resize="bicubic", crop=8)
    box = (3, 0, 11, 8)
    expected = Image.fromarray(pixels[3]).resize((4, 4), Image.Resampling.BICUBIC, box)
    assert np.array_equal(data.held_out.images, chw([np.asarray(expected)]))


def spoil(path, how):
    if how == "torn":
        path.write_bytes(path.read_bytes()[:100])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "size":
        Image.new("RGB", (11, 10)).save(path)
    else:
        Image.new(how, (10, 10)).save(path)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("torn", ".+"),
        ("empty", "cannot identify image file"),
        ("size", r"expected 10x10 pixels \(resize is none\), got 11x10"),
        ("L", "expected mode RGB, got L"),
        ("RGBA", "expected mode RGB, got RGBA"),
        ("P", "expected mode RGB, got P"),
    ],
)
def test_a_broken_image_is_named_or_with_skip_broken_skipped(tmp_path, how, reason):
    pixels = write_pictures(tmp_path / "pictures", 9, size=(10, 10))
    path = tmp_path / "pictures" / "4.png"
    spoil(path, how)
    with pytest.raises(InputError, match=rf"^{path} cannot be used as an image: {reason}") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
    for _ in range(2):
        data = load(tmp_path, skip_broken=True)
        (warning,) = data.warnings
        assert f"skipped 1 of 9 images that cannot be used; first: {path}" in warning
        assert np.array_equal(data.held_out.images, chw(np.delete(pixels, 4, axis=0)[[3, 7]]))
        assert data.sizes == {"train": 6, "held_out": 2}


def test_skipping_keeps_the_labels_of_the_others(tmp_path):
    for name in ("a", "b"):
        write_pictures(tmp_path / "pictures" / name, 4, size=(10, 10))
    spoil(tmp_path / "pictures" / "a" / "0.png", "torn")
    data = load(tmp_path, num_classes=2, held_out=0.5, skip_broken=True)
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert data.held_out.labels.tolist() == [0, 1, 1]


def test_a_folder_with_only_broken_images_is_refused(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 1 images can be used; first: .*a\.png"):
        load(tmp_path, skip_broken=True)


def test_grey_images_with_channels_1(tmp_path):
    (tmp_path / "pictures").mkdir()
    for k in range(4):
        Image.new("L", (10, 10), k).save(tmp_path / "pictures" / f"{k}.png")
    assert load(tmp_path, channels=1).train.images[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_a_missing_or_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot list .*pictures: No such file .*--data-root"):
        load(tmp_path)
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match=r"pictures has no images; expected files with the suffixes \.bmp, "):
        load(tmp_path)
    write_pictures(tmp_path / "pictures", 2, size=(10, 10))
    with pytest.raises(InputError, match=r"2 images are too few to hold out a share of 0\.25"):
        load(tmp_path)


def test_the_number_of_subfolders_must_be_num_classes_and_none_may_be_empty(tmp_path):
    write_pictures(tmp_path / "pictures" / "a", 2, size=(10, 10))
    with pytest.raises(InputError, match=r"expected 2 subfolders, one for each class \(num_classes\), got 1"):
        load(tmp_path, num_classes=2)
    (tmp_path / "pictures" / "b").mkdir()
    with pytest.raises(InputError, match=r"pictures/b has no images"):
        load(tmp_path, num_classes=2)
    write_pictures(tmp_path / "pictures", 1, size=(10, 10))
    write_pictures(tmp_path / "pictures" / "b", 1, size=(10, 10))
    with pytest.raises(InputError, match=r"pictures/0\.png is in no class"):
        load(tmp_path, num_classes=2)


def test_held_out_classes_must_equal_the_training_classes(tmp_path):
    for folder in ("pictures/a", "pictures/b", "test/a", "test/c"):
        write_pictures(tmp_path / folder, 2, size=(10, 10))
    with pytest.raises(InputError, match=r"test: expected the classes of .*pictures: a, b; got a, c"):
        load(tmp_path, num_classes=2, held_out_folder="test")


@pytest.mark.parametrize("fields", [{"folder": "a"}, {"size": 8}, {"folder": "a", "size": 8, "resize": "nearest"}])
def test_fields_are_validated(fields):
    with pytest.raises(ValidationError):
        Folder(**fields)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_other_modes_are_converted_as_pil_does_on_request(tmp_path, channels):
    """Grey, palette with and without transparency, RGBA, CMYK, two-valued; a picture of 16 bits is refused by name."""
    (tmp_path / "pictures").mkdir()
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 256, (10, 10, 3), dtype=np.uint8))
    wanted, expected = "L" if channels == 1 else "RGB", []
    kinds = {"0.png": "L", "1.png": "P", "2.png": "RGBA", "3.tif": "CMYK", "4.png": "1", "5.png": "RGB", "6.png": "LA"}
    for name, mode in kinds.items():
        colours.convert(mode).save(tmp_path / "pictures" / name)
        expected.append(np.asarray(colours.convert(mode).convert(wanted)).reshape(10, 10, channels))
    transparent = colours.convert("P")
    transparent.save(tmp_path / "pictures" / "7.png", transparency=bytes(range(256)))
    expected.append(np.asarray(transparent.convert(wanted)).reshape(10, 10, channels))
    data = load(tmp_path, channels=channels, convert=True, held_out=0.5)
    assert np.array_equal(data.train.images, chw(expected[::2]))
    assert np.array_equal(data.held_out.images, chw(expected[1::2]))
    with pytest.raises(InputError, match=r"[0-7]\.(png|tif) cannot be used as an image: expected mode"):
        load(tmp_path, channels=channels, held_out=0.5)
    deep = Image.fromarray(np.zeros((10, 10), dtype=np.uint16))
    deep.save(tmp_path / "pictures" / "8.png")
    with pytest.raises(InputError, match=rf"8.png cannot be used as an image: expected mode {wanted}, got I"):
        load(tmp_path, channels=channels, convert=True, held_out=0.5)


def test_converted_pictures_are_not_those_of_the_cache_of_others(tmp_path):
    write_pictures(tmp_path / "pictures", 4, size=(10, 10))
    plain, converted = (Folder(folder="pictures", size=10, convert=convert) for convert in (False, True))
    keys = {one._images(tmp_path / "pictures")[0].cache_key() for one in (plain, converted)}
    assert len(keys) == 2
    assert plain.entry() == {"folder": {"folder": "pictures", "size": 10}}
