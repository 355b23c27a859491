"""Training, validation and test images of a classification run: disjoint, stratified, each once an epoch."""

import pytest
import torch
from small_classification_task import CPU, images, split

from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.errors import InputError
from lipschitz.tasks.classification.examples import Examples


def numbered(n: int) -> ImageData:
    """Return images whose first pixel is their number, and whose class is its remainder by three."""
    labels = torch.arange(n) % 3
    pixels = torch.zeros(n, 1, 4, 4, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.arange(n)
    return ImageData.load(Split(pixels, labels), split(6, 1), CPU, 3)


def numbers(pixels: torch.Tensor) -> list[int]:
    return ((pixels[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


@pytest.mark.parametrize("train_size", [None, 30])
def test_parts_are_disjoint_and_have_the_share_of_each_class(train_size: int | None) -> None:
    examples = Examples(numbered(60), 0, train_size=train_size, validation=0.2)
    parts = {part: examples.fixed(part, 60) for part in ("train", "validation")}
    train, validation = (set(numbers(pixels)) for pixels, _ in parts.values())
    assert (len(train), len(validation)) == (train_size or 48, 12)
    assert not train & validation
    for pixels, labels in parts.values():
        assert labels.tolist() == [number % 3 for number in numbers(pixels)]
        counts = labels.bincount()
        assert counts.max() - counts.min() <= 2
    assert examples.sizes == {"train": len(train), "validation": 12, "test": 6}


def test_an_epoch_visits_each_image_once_and_a_batch_goes_on_with_the_next_one() -> None:
    examples = Examples(numbered(20), 0, train_size=None, validation=0.0, visited=60)
    visited = [number for _ in range(8) for number in numbers(examples.next_batch(8)[0])]
    first, second, third = visited[:20], visited[20:40], visited[40:60]
    assert sorted(first) == sorted(second) == sorted(third) == list(range(20))
    assert len({tuple(first), tuple(second), tuple(third)}) == 3
    assert visited[60:] == first[:4], "the orders repeat once the images are visited that were asked for"


def test_the_seed_alone_draws_the_subset() -> None:
    found = [
        numbers(Examples(numbered(60), seed, train_size=12, validation=0.1).fixed("train", 12)[0]) for seed in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]


def test_validation_images_do_not_depend_on_the_size_of_the_training_set() -> None:
    small, large = (Examples(numbered(60), 0, train_size=n, validation=0.2).fixed("validation", 60) for n in (9, None))
    assert torch.equal(small[0], large[0])


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="train_size 55: there are 54 training images besides those for validation"):
        Examples(images(), 0, train_size=55, validation=0.1)
    with pytest.raises(
        InputError, match=r"no image of class \d among the 2 training images; allowed: a larger train_size"
    ):
        Examples(images(), 0, train_size=2, validation=0.1).check_classes()


def test_digits_say_how_many_images_they_train_on() -> None:
    assert Digits().load(None, CPU).sizes["train"] == Digits().training_images
