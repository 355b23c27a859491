"""Pictures are cropped to a square and resized by PIL's filters."""

import numpy as np
import pytest
from PIL import Image

from lipschitz.datasets.images.crop import CropResize

WIDE = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)


def test_without_a_filter_pixels_are_unchanged():
    pixels = CropResize(6, 3, "none").pixels(Image.fromarray(WIDE[:, :6]))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, WIDE[:, :6].transpose(2, 0, 1))


def test_grey_pictures_have_one_channel():
    assert np.array_equal(CropResize(6, 1, "none").pixels(Image.fromarray(WIDE[:, :6, 0])), WIDE[None, :, :6, 0])


def test_the_largest_centre_square_is_cropped_and_resized():
    pixels = CropResize(3, 3, "box").pixels(Image.fromarray(WIDE)).astype(float)
    square = WIDE[:, 2:8].astype(float).reshape(3, 2, 3, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    # PIL rounds after each of two passes.
    assert np.abs(pixels - square).max() <= 1


def test_a_centre_square_of_a_given_side_is_cropped():
    pixels = CropResize(4, 3, "bilinear", crop=4).pixels(Image.fromarray(WIDE))
    assert np.array_equal(pixels, WIDE[1:5, 3:7].transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["box", "bilinear", "hamming", "bicubic", "lanczos"])
def test_each_filter_equals_that_of_pil(name):
    picture = Image.fromarray(WIDE[:, :6])
    expected = np.asarray(picture.resize((4, 4), getattr(Image.Resampling, name.upper())))
    assert np.array_equal(CropResize(4, 3, name).pixels(picture), expected.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("crop", "mode", "message"),
    [
        (CropResize(6, 3, "none"), "RGB", r"expected 6x6 pixels \(resize is none\), got 10x6"),
        (
            CropResize(6, 3, "box"),
            "L",
            "expected mode RGB, got L; the data set `folder` converts it with convert: true",
        ),
        (CropResize(6, 3, "box"), "RGBA", "expected mode RGB, got RGBA"),
        (CropResize(6, 1, "box"), "RGB", "expected mode L, got RGB"),
        (CropResize(6, 3, "box", crop=7), "RGB", "expected at least 7x7 pixels, got 10x6"),
    ],
)
def test_a_picture_of_wrong_size_or_mode_is_refused(crop, mode, message):
    with pytest.raises(ValueError, match=message):
        crop.pixels(Image.fromarray(WIDE).convert(mode))


def test_the_cache_key_is_that_of_earlier_versions():
    key = "Framing(size=6, channels=3, resize='box', crop=None)"
    assert CropResize(6, 3, "box").cache_key() == key
