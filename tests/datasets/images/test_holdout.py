import pytest
import torch

from lipschitz.datasets.images.holdout import held_out_mask


def test_every_second_of_each_class():
    labels = torch.tensor([0, 1, 0, 1, 0, 0, 1])
    assert held_out_mask(7, labels, 0.5).tolist() == [False, False, True, True, False, True, False]


def test_a_share_of_images_without_labels_is_evenly_spaced():
    assert held_out_mask(9, None, 0.25).nonzero()[:, 0].tolist() == [3, 7]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.9])
def test_as_many_as_the_share_says_of_each_class(share):
    labels = torch.arange(3000) % 3
    mask = held_out_mask(3000, labels, share)
    assert [int(mask[labels == k].sum()) for k in range(3)] == [round(1000 * share)] * 3
