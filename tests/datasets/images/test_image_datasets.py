"""Digits, and what every in-memory image data set does: batches, labels, chunks, reference, floor and hash."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return Digits().load(None, CPU)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(train=(0, 128, 255), held_out=(1, 2), labelled=True):
    """Return images (1, 2, 2) of a constant grey level each."""

    def split(levels):
        images = torch.tensor(levels, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
        return Split(images, torch.arange(len(levels)) if labelled else None)

    return ImageData.load(split(train), split(held_out), CPU, 3 if labelled else None)


def test_digits_equal_those_of_scikit_learn_in_eight_bits(digits):
    pixels, _ = load_digits(return_X_y=True)
    ours = torch.cat([digits.train.images, digits.held_out.images]).reshape(-1, 64).numpy() / 255 * 16
    assert sorted(map(tuple, ours.round().astype(int))) == sorted(map(tuple, pixels.astype(int)))


def test_each_class_of_digits_is_halved(digits):
    train, held_out = digits.train.labels.bincount(), digits.held_out.labels.bincount()
    assert len(digits.held_out.images) == digits.sizes["held_out"] == 896
    assert set((train - held_out).tolist()) <= {0, 1}
    assert digits.classes == 10


def test_a_batch_is_training_images_scaled_from_minus_one_to_one():
    batch = tiny().batch(200, rng())
    assert batch.shape == (200, 1, 2, 2)
    assert batch.dtype == torch.float32
    assert np.unique(batch).tolist() == pytest.approx([-1, 0.5 / 127.5, 1], abs=1e-6)


def test_draws_of_a_generator_are_those_of_committed_results():
    generator = rng()
    index = torch.randint(901, (6,), generator=rng())
    digits = Digits().load(None, CPU)
    assert torch.equal(digits.batch(6, generator), digits.train.images[index].float() / 127.5 - 1)
    kept = torch.randperm(896, generator=rng(1))[:6]
    assert torch.equal(digits.reference(6, rng(1)), digits.held_out.images[kept].float() / 127.5 - 1)
    shuffled = torch.randperm(901, generator=rng(1))[:6]
    assert torch.equal(digits.floor(6, rng(1)), digits.train.images[shuffled].float() / 127.5 - 1)


def test_a_labelled_batch_is_the_batch_with_its_labels():
    data, one, other = tiny(), rng(), rng()
    for _ in range(2):
        images, labels = data.labelled_batch(50, one)
        assert torch.equal(images, data.batch(50, other))
        assert labels.dtype == torch.int64
        assert np.unique(images[:, 0, 0, 0][labels == 1]).tolist() == pytest.approx([0.5 / 127.5], abs=1e-6)
    assert torch.equal(one.get_state(), other.get_state())


def test_images_without_labels_have_no_labelled_batch():
    data = tiny(labelled=False)
    assert data.classes is None
    assert data.batch(2, rng()).shape == (2, 1, 2, 2)
    with pytest.raises(ValueError, match="without labels"):
        data.labelled_batch(2, rng())


def test_chunks_are_all_images_in_order_as_uint8():
    data = tiny()
    assert data.sizes == {"train": 3, "held_out": 2}
    chunks = list(data.chunks("train", 2))
    assert [len(chunk) for chunk in chunks] == [2, 1]
    assert torch.equal(torch.cat(chunks), data.train.images)
    assert [chunk.dtype for chunk in data.chunks("held_out")] == [torch.uint8]


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_is_named(label):
    base = tiny()
    wrong = base.held_out._replace(labels=torch.tensor([0, label]))
    with pytest.raises(InputError, match=f"held-out images: expected labels from 0 to 2, got {label} for image 1"):
        ImageData.load(base.train, wrong, CPU, classes=3)


def test_labels_and_the_number_of_classes_are_given_together():
    base = tiny()
    with pytest.raises(ValueError, match="go together"):
        ImageData.load(base.train, base.held_out, CPU)
    with pytest.raises(ValueError, match="go together"):
        ImageData.load(base.train, base.held_out._replace(labels=None), CPU, classes=3)


def test_reference_draws_held_out_images_and_floor_draws_training_images_without_replacement():
    data = tiny()

    def levels(images):
        return sorted(images[:, 0, 0, 0].tolist())

    assert levels(data.reference(2, rng())) == pytest.approx([1 / 127.5 - 1, 2 / 127.5 - 1], abs=1e-6)
    assert levels(data.floor(3, rng())) == pytest.approx([-1, 0.5 / 127.5, 1], abs=1e-6)


def test_drawing_more_images_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="cannot draw 3 of 2 images without replacement"):
        tiny().reference(3, rng())


def test_the_hash_depends_on_every_pixel_every_label_and_the_split():
    base = tiny()
    relabelled = ImageData.load(base.train._replace(labels=base.train.labels.flip(0)), base.held_out, CPU, 3)
    hashes = {
        base.hash,
        relabelled.hash,
        tiny(train=(0, 128, 254)).hash,
        tiny(held_out=(1, 3)).hash,
        tiny((0, 128), (255, 1, 2)).hash,
    }
    assert len(hashes | {tiny(labelled=False).hash}) == 6
    assert tiny().hash == base.hash
