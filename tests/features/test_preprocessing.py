"""Preprocessing against torch-fidelity and values worked out by hand."""

import pytest
import torch

from lipschitz.datasets.images.torchvision_import import import_torchvision
from lipschitz.features.inception import PREPROCESSINGS, preprocess


def images(*shape):
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("size", [8, 32, 48, 299, 400])
def test_torch_fidelity_preprocessing_equals_torch_fidelity_s(size):
    import_torchvision()
    theirs = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    x = images(2, 3, size, size + 3)
    expected = theirs.interpolate_bilinear_2d_like_tensorflow1x(x.float(), size=(299, 299), align_corners=False)
    assert torch.equal(preprocess(x, "torch_fidelity"), (expected - 128) / 128)


def test_worked_out_by_hand_from_two_pixels():
    x = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
    corner = preprocess(x, "torch_fidelity")[0, 0, 0]
    # Output pixel i lies at 2 i / 299; from 1 on, the last pixel is repeated.
    assert corner[0] == -1
    assert corner[100] == pytest.approx((255 * 200 / 299 - 128) / 128, rel=1e-5)
    assert corner[150:].eq((255 - 128) / 128).all()
    centred = preprocess(x, "pytorch_fid")[0, 0, 0]
    # Output pixel i lies at 2 (i + ½) / 299 - ½.
    assert centred[149] == pytest.approx(0, abs=1e-5)
    assert centred[100] == pytest.approx(2 * (2 * 100.5 / 299 - 0.5) - 1, rel=1e-4)
    assert centred.flip(0) == pytest.approx(-centred, abs=1e-5)


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_grey_images_get_three_equal_channels(name):
    x = images(2, 1, 32, 32)
    seen = preprocess(x, name)
    assert seen.shape == (2, 3, 299, 299)
    assert seen.dtype == torch.float32
    assert torch.equal(seen, preprocess(x.repeat(1, 3, 1, 1), name))
    assert -1 <= seen.min() < seen.max() <= 1


def test_the_two_preprocessings_differ():
    x = images(1, 3, 32, 32)
    assert (preprocess(x, "pytorch_fid") - preprocess(x, "torch_fidelity")).abs().max() > 0.1
