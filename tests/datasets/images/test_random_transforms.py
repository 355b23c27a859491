"""Random transforms of images: values by hand, one draw an image, gradients, and no waiting for the device."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from lipschitz.datasets.images.random_transforms import random_color, random_cutout, random_flip, random_shift

N = 200
SHAPE = (2, 5, 6)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = N) -> Tensor:
    return torch.rand(n, *SHAPE, generator=rng(1), dtype=torch.float64) + 1


def shifted(image: Tensor, down: int, right: int) -> Tensor:
    """Return ``image`` ``(c, h, w)`` shifted with zeros, by loops."""
    out = torch.zeros_like(image)
    _, h, w = image.shape
    for i in range(h):
        for j in range(w):
            if 0 <= i - down < h and 0 <= j - right < w:
                out[:, i, j] = image[:, i - down, j - right]
    return out


def test_half_of_the_images_are_flipped_and_none_is_changed_otherwise() -> None:
    given = images()
    out = random_flip(given, rng())
    flipped = torch.tensor([torch.equal(a, b.flip(-1)) for a, b in zip(out, given, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(out, given, strict=True)])
    assert (flipped ^ kept).all()
    assert 0.4 < flipped.double().mean() < 0.6


def test_every_image_is_shifted_by_whole_pixels_of_its_own() -> None:
    given = images()
    out = random_shift(given, (2, 1), rng())
    found = []
    for image, moved in zip(given, out, strict=True):
        places = [(i, j) for i in range(-2, 3) for j in range(-1, 2) if torch.equal(shifted(image, i, j), moved)]
        assert len(places) == 1
        found += places
    assert set(found) == {(i, j) for i in range(-2, 3) for j in range(-1, 2)}


def test_colour_is_three_affine_maps_whose_numbers_are_in_the_paper_s_ranges() -> None:
    given = images()
    out = random_color(given, rng())
    draws = rng()
    brightness, saturation, contrast = (torch.rand(N, generator=draws, dtype=torch.float64) for _ in range(3))
    for image, changed, b, s, k in zip(given, out, brightness - 0.5, 2 * saturation, contrast + 0.5, strict=True):
        brighter = image + b
        grey = brighter.mean(dim=0)
        coloured = grey + s * (brighter - grey)
        assert torch.allclose(changed, coloured.mean() + k * (coloured - coloured.mean()), rtol=1e-12)


def test_a_grey_image_has_no_saturation_to_change() -> None:
    given = images()[:, :1]
    ratio = (random_color(given, rng()) - random_color(given, rng()).mean(dim=(1, 2, 3), keepdim=True)) / (
        given - given.mean(dim=(1, 2, 3), keepdim=True)
    )
    assert torch.allclose(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    assert ratio.min() >= 0.5
    assert ratio.max() <= 1.5


def test_a_rectangle_of_half_the_sides_is_cut_out_around_a_pixel_of_the_image() -> None:
    out = random_cutout(images(), rng())
    for cut in out == 0:
        assert torch.equal(cut[0], cut[1])
        rows, columns = cut[0].any(dim=1), cut[0].any(dim=0)
        assert torch.equal(cut[0], rows.unsqueeze(1) & columns)
        # Half of 5, rounded up, and half of 6; at a border at least what is on one side of the centre.
        assert 2 <= int(rows.sum()) <= 3
        assert 2 <= int(columns.sum()) <= 3
    assert (out == 0).any(dim=(0, 1)).all(), "every pixel is cut at times"


@pytest.mark.parametrize(
    "transform",
    [random_flip, random_color, random_cutout, lambda images, rng: random_shift(images, (2, 1), rng)],
)
def test_gradients_pass_and_the_draws_are_those_of_the_generator_alone(transform) -> None:
    state = torch.get_rng_state()
    assert torch.equal(transform(images(), rng(3)), transform(images(), rng(3)))
    assert not torch.equal(transform(images(), rng(3)), transform(images(), rng(4)))
    assert torch.equal(torch.get_rng_state(), state)
    given = images(2).requires_grad_()
    assert gradcheck(lambda x: transform(x, rng()), given)
    on_meta = transform(torch.empty(4, *SHAPE, device="meta"), rng())
    assert on_meta.shape == (4, *SHAPE)
