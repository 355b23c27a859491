"""Folders that links, pipes, odd names and other kinds of files are in: each picture counts once, nothing is silent."""

import os
import runpy
import stat
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import write_pictures

from lipschitz.datasets.images import decode
from lipschitz.datasets.images.decode import LazyImages, fingerprint_of, open_image
from lipschitz.datasets.images.folder import Folder
from lipschitz.datasets.images.listing import Listing, left_out, list_images
from lipschitz.errors import InputError

CPU = torch.device("cpu")
ORIENTATION = 0x0112


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def pictures(tmp_path):
    write_pictures(tmp_path / "pictures" / "a", 5, size=(10, 10))
    write_pictures(tmp_path / "pictures" / "b", 4, size=(10, 10), seed=1)
    return tmp_path / "pictures"


def load(root, **fields):
    return Folder(**{"folder": "pictures", "size": 10, "resize": "none", **fields}).load(root, CPU)


def names(listing, folder):
    return [str(path.relative_to(folder)) for path in listing.paths]


def test_links_to_folders_above_multiply_nothing(tmp_path, pictures):
    for name, target in (("a/up", ".."), ("b/top", tmp_path), ("b/root", "/"), ("again", "a"), ("b/self", "self")):
        (pictures / name).symlink_to(target)
    data = load(tmp_path)
    assert data.sizes == {"train": 7, "held_out": 2}
    assert data.repeated == 0
    assert data.warnings == (
        f"{pictures}: 1 files are not read: 1 without suffix",
        f"{pictures}: 4 symbolic links or files are not read, since they lead to images or folders that are listed "
        "already",
    )


def test_a_link_to_pictures_elsewhere_is_followed_and_a_file_counts_once_under_its_first_path(tmp_path, pictures):
    write_pictures(tmp_path / "elsewhere", 2, size=(10, 10), seed=2)
    (pictures / "c").symlink_to(tmp_path / "elsewhere")
    (pictures / "a" / "00.png").symlink_to("../b/3.png")
    listing = list_images(pictures)
    assert names(listing, pictures) == [
        *("a/0.png", "a/00.png", "a/1.png", "a/2.png", "a/3.png", "a/4.png"),
        *("b/0.png", "b/1.png", "b/2.png", "c/0.png", "c/1.png"),
    ]
    assert listing.real[1] == str(pictures / "b" / "3.png")
    assert listing.repeated == 1


def test_a_picture_in_two_classes_is_refused(tmp_path, pictures):
    (pictures / "b" / "up").symlink_to("../a")
    with pytest.raises(InputError, match=r"a/0\.png and .*b/up/0\.png are one file, in two classes$"):
        load(tmp_path, num_classes=2)


def test_a_folder_that_is_linked_as_the_held_out_one_repeats_all_images(tmp_path, pictures):
    (tmp_path / "test").symlink_to(pictures)
    assert load(tmp_path, held_out_folder="test").repeated == 9


def test_files_that_are_not_read_are_counted_by_suffix(tmp_path, pictures):
    Image.open(pictures / "a" / "0.png").save(pictures / "a" / "photo.JFIF", "JPEG")
    for name in ("a/1.gif", "b/2.GIF", "Thumbs.db", "b/notes.txt", "b/c.\x1b[31mx", "a/none"):
        (pictures / name).touch()
    for fields in ({}, {"num_classes": 2}):
        data = load(tmp_path, **fields)
        assert sum(data.sizes.values()) == 10
        (line,) = data.warnings
        assert line.startswith(f"{pictures}: 6 files are not read: 2 .gif, 1 ")
        assert line.endswith(", 2 of other kinds")
        assert line.isprintable()
    listings = [Listing([], [], Counter({".x" * 50 + "\n": 1}), 0)]
    assert list(left_out(pictures, listings)) == [f"{pictures}: 1 files are not read: 1 " + ".x" * 10]


def test_exif_orientation_turns_the_picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    turned = {1: pixels, 3: pixels[::-1, ::-1], 6: np.rot90(pixels, -1), 8: np.rot90(pixels)}
    for suffix in ("png", "tiff", "webp"):
        for orientation, expected in turned.items():
            exif = Image.Exif()
            exif[ORIENTATION] = orientation
            path = tmp_path / f"x.{suffix}"
            Image.fromarray(pixels).save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
            assert np.array_equal(np.asarray(open_image(path)), expected), (suffix, orientation)


def make_fifo(path):
    os.mkfifo(path)


def make_device(path):
    path.symlink_to("/dev/zero")


def make_folder(path):
    path.mkdir()


def make_bomb(path):
    Image.new("RGB", (10, 15)).save(path)


def make_worse_bomb(path):
    Image.new("RGB", (10, 30)).save(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_fifo, "not a regular file"),
        (make_device, "not a regular file"),
        (make_folder, "Is a directory"),
        (make_bomb, r"Image size \(150 pixels\) exceeds limit of 100 pixels, .*"),
        (make_worse_bomb, r"Image size \(300 pixels\) exceeds limit of 200 pixels, .*"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_line_instead_of_read(tmp_path, pictures, monkeypatch, make, reason):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    make(pictures / "a" / "x.png")
    with pytest.raises(InputError, match=rf"^{pictures}/a/x\.png cannot be used as an image: {reason}$") as caught:
        load(tmp_path)
    assert len(str(caught.value)) < 200 + len(str(pictures))
    data = load(tmp_path, skip_broken=True)
    assert sum(data.sizes.values()) == 9
    assert data.warnings == (f"{pictures}: skipped 1 of 10 images that cannot be used; first: {pictures}/a/x.png",)


def test_a_warning_of_a_decompression_bomb_is_an_error_of_the_process():
    with warnings.catch_warnings():
        warnings.resetwarnings()
        runpy.run_path(decode.__file__)
        assert ("error", None, Image.DecompressionBombWarning, None, 0) in warnings.filters


def test_names_that_are_not_utf8_or_hold_control_characters_are_escaped(tmp_path, pictures):
    odd = os.fsdecode(b"caf\xe9\n[red]\x1b")
    (pictures / "b").rename(pictures / odd)
    data = load(tmp_path, num_classes=2)
    assert data.class_names == ("a", r"caf\udce9 [red]\x1b")
    (pictures / odd / "1.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    line = str(caught.value)
    assert line.startswith(rf"{pictures}/caf\udce9 [red]\x1b/1.png cannot be used as an image: ")
    assert line.isprintable()
    (pictures / odd / "1.png").unlink()
    (pictures / odd / "up.png").symlink_to("../a/1.png")
    with pytest.raises(InputError, match=r"caf\\udce9 \[red\]\\x1b/up\.png are one file"):
        load(tmp_path, num_classes=2)


def test_a_folder_with_a_null_character_in_its_name_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot list .*a\\x00b: embedded null byte"):
        load(tmp_path, folder="a\0b")


def test_the_fingerprint_changes_with_content_of_the_same_size_and_time(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"one")
    first, times = fingerprint_of([path]), path.stat()
    assert fingerprint_of([path]) == first
    changed = path.stat().st_ctime_ns
    while changed == times.st_ctime_ns:  # the clock of the file system ticks every few milliseconds
        path.write_bytes(b"two")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        changed = path.stat().st_ctime_ns
    assert path.stat().st_mtime_ns == times.st_mtime_ns
    assert fingerprint_of([path]) != first
    second = fingerprint_of([path])
    other = tmp_path / "other"
    other.write_bytes(b"two")
    other.replace(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint_of([path]) != second
    assert fingerprint_of([tmp_path / os.fsdecode(b"\xff")]) != first


def test_reading_leaves_pipes_closed(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="not a regular file"):
        open_image(tmp_path / "x.png")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert stat.S_ISFIFO((tmp_path / "x.png").stat().st_mode)


def test_a_name_is_escaped_in_the_message_of_any_lazy_image():
    def fails(index):
        raise OSError("torn \x1b]0;x\x07")

    images = LazyImages(["a\nb"], fails, None)
    with pytest.raises(InputError) as caught:
        images.pixels(0)
    assert str(caught.value) == r"a b cannot be used as an image: torn \x1b]0;x\x07"
