"""The held-out share of each class, and the split into training and held-out images."""

import pytest
import torch

from lipschitz.datasets.images.split import Split, held_out_mask, hold_out
from lipschitz.errors import InputError


def test_with_share_one_half_every_second_image_of_a_class_is_held_out():
    labels = torch.tensor([0, 1, 0, 1, 0, 0, 1])
    assert held_out_mask(7, labels, 0.5).tolist() == [False, False, True, True, False, True, False]


def test_a_share_of_images_without_labels_is_evenly_spaced():
    assert held_out_mask(9, None, 0.25).nonzero()[:, 0].tolist() == [3, 7]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.9])
def test_the_share_holds_for_each_class(share):
    labels = torch.arange(3000) % 3
    mask = held_out_mask(3000, labels, share)
    assert [int(mask[labels == k].sum()) for k in range(3)] == [round(1000 * share)] * 3


def test_hold_out_splits_images_and_labels_by_the_mask():
    labels = torch.tensor([0, 1, 0, 1, 0, 0, 1])
    images = Split(torch.arange(7, dtype=torch.uint8).reshape(7, 1, 1, 1), labels)
    train, held_out = hold_out(images, 0.5, "some file")
    assert train.images.flatten().tolist() == [0, 1, 4, 6]
    assert held_out.images.flatten().tolist() == [2, 3, 5]
    assert held_out.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(("n", "share"), [(0, 0.5), (1, 0.5), (3, 0.25)])
def test_too_few_images_are_named(n, share):
    images = Split(torch.zeros(n, 1, 2, 2, dtype=torch.uint8))
    with pytest.raises(InputError, match=f"some file: {n} images are too few to hold out a share of {share}"):
        hold_out(images, share, "some file")
