import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from lipschitz.datasets.digits import Digits
from lipschitz.datasets.images import ImageData, Split

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return Digits().load(None, CPU)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(train=(0, 128, 255), held_out=(1, 2)):
    """Image ``i`` of a split is 1x2x2 and of one grey level throughout."""

    def split(levels):
        images = torch.tensor(levels, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
        return Split(images, torch.arange(len(levels)))

    return ImageData.load(split(train), split(held_out), CPU)


def test_digits_are_scikit_learns_in_eight_bits(digits):
    pixels, _ = load_digits(return_X_y=True)
    ours = torch.cat([digits.train.images, digits.held_out.images]).reshape(-1, 64).numpy() / 255 * 16
    assert sorted(map(tuple, ours.round().astype(int))) == sorted(map(tuple, pixels.astype(int)))


def test_each_class_of_digits_is_halved(digits):
    train, held_out = digits.train.labels.bincount(), digits.held_out.labels.bincount()
    assert len(digits.held_out.images) == digits.reference_size == 896
    assert set((train - held_out).tolist()) <= {0, 1}
    assert digits.classes == 10


def test_a_batch_is_training_images_scaled_from_minus_one_to_one():
    batch = tiny().batch(200, rng())
    assert batch.shape == (200, 1, 2, 2)
    assert batch.dtype == torch.float32
    assert np.unique(batch).tolist() == pytest.approx([-1, 0.5 / 127.5, 1], abs=1e-6)


def test_reference_holds_each_held_out_image_once_and_floor_each_training_image():
    data = tiny()

    def levels(images):
        return sorted(images[:, 0, 0, 0].tolist())

    assert levels(data.reference(2, rng())) == pytest.approx([1 / 127.5 - 1, 2 / 127.5 - 1], abs=1e-6)
    assert levels(data.floor(3, rng())) == pytest.approx([-1, 0.5 / 127.5, 1], abs=1e-6)


def test_more_images_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="3 images asked for where there are 2"):
        tiny().reference(3, rng())


def test_the_hash_sees_every_pixel_label_and_the_split():
    base = tiny()
    relabelled = ImageData.load(base.train._replace(labels=base.train.labels.flip(0)), base.held_out, CPU)
    hashes = {
        base.hash,
        relabelled.hash,
        tiny(train=(0, 128, 254)).hash,
        tiny(held_out=(1, 3)).hash,
        tiny((0, 128), (255, 1, 2)).hash,
    }
    assert len(hashes) == 5
    assert tiny().hash == base.hash
