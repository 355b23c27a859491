"""Labelled images of a classification run: those to train on, to choose by and to test on, and their order."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lipschitz.datasets.images.image_data import ImageData, Placed, to_floats
from lipschitz.errors import InputError
from lipschitz.random_streams import stream

ROWS = 2**24
"""Most rows of all orders together; a run that visits more images repeats its orders."""
UNKNOWN = 100
"""Orders of a run whose number of steps follows from its budget in seconds."""


class Examples:
    """Training, validation and test images; the first two are disjoint parts of the data set's training images.

    Both parts have about the data set's share of each class. They depend on the seed alone, so methods share them.

    Args:
        data: with labels.
        seed: of the run.
        train_size: number of training images; None for all that are not held out for validation.
        validation: share of the data set's training images that is held out for validation, in [0, 1).
        visited: number of images that the run visits, or None if it is not known.

    Raises:
        InputError: there are fewer images than ``train_size``.
    """

    def __init__(
        self, data: ImageData, seed: int, *, train_size: int | None, validation: float, visited: int | None = 0
    ) -> None:
        self.data = data
        order = _stratified_order(labels_of(data.train), stream(seed, "split"))
        most = without_validation(len(order), validation)
        n = most if train_size is None else train_size
        check_train_size(train_size, most)
        self._train, self._validation = order[:n], order[most:]
        self.device = labels_of(data.train).device
        most_orders = max(1, ROWS // n)
        orders = min(UNKNOWN if visited is None else max(1, -(-visited // n)), most_orders)
        rng = stream(seed, "data")
        rows = torch.cat([self._train.cpu()[torch.randperm(n, generator=rng)] for _ in range(orders)])
        self.order = rows.to(self.device)
        """Rows of the data set's training images as the run visits them, int64: one epoch after the other."""
        self._place = torch.zeros((), dtype=torch.int64, device=self.device)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of images in each part."""
        return {"train": len(self._train), "validation": len(self._validation), "test": self.data.held_out.size}

    @property
    def class_counts(self) -> Tensor:
        """Number of training images of each class, int64 ``(classes,)``."""
        labels = labels_of(self.data.train).index_select(0, self._train.to(self.device))
        return labels.bincount(minlength=self.data.classes or 0)

    def check_classes(self) -> None:
        """Check that there is a training image of each class.

        Raises:
            InputError: names the first class without one.
        """
        if int(self.class_counts.min()) == 0:
            empty, n = int(self.class_counts.argmin()), len(self._train)
            whole = n == len(labels_of(self.data.train)) - len(self._validation)
            allowed = "a smaller validation" if whole else "a larger train_size"
            raise InputError(
                f"no image of class {empty} among the {n} training images; allowed: {allowed}, or data with more "
                "images of each class"
            )

    def next_batch(self, n: int) -> tuple[Tensor, Tensor]:
        """Return the next ``n`` training images ``(n, c, h, w)`` and their labels: each image once an epoch.

        A batch at the end of an epoch goes on with the next one. A CUDA graph can capture this.
        """
        at = (self._place + torch.arange(n, device=self.device)) % len(self.order)
        self._place.add_(n)
        rows = self.order.index_select(0, at)
        return to_floats(self.data.train.take(rows)), labels_of(self.data.train).index_select(0, rows)

    def fixed(self, part: str, n: int) -> tuple[Tensor, Tensor]:
        """Return ``n`` images of ``part`` and their labels, the same at every call; all if there are fewer."""
        if part == "test":
            split, rows = self.data.held_out, self._test_rows()
        else:
            split, rows = self.data.train, self._train if part == "train" else self._validation
        rows = rows[:n].to(self.device)
        return to_floats(split.take(rows)), labels_of(split).index_select(0, rows)

    def state_dict(self) -> dict[str, int]:
        """Return how many images have been visited."""
        return {"place": int(self._place)}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore what `state_dict` returned."""
        self._place.fill_(state["place"])

    def _test_rows(self) -> Tensor:
        return _stratified_order(labels_of(self.data.held_out), stream(0, "test"))


def without_validation(images: int, validation: float) -> int:
    """Return the number of ``images`` that are left to train on without the share ``validation`` of them."""
    return images - round(validation * images)


def check_train_size(train_size: int | None, most: int) -> None:
    """Check that there are ``train_size`` images, or any if it is None.

    Raises:
        InputError: there are fewer.
    """
    if train_size is None and most < 1:
        raise InputError("all training images are held out for validation; allowed: a smaller validation")
    if (train_size or 1) > most:
        raise InputError(f"train_size {train_size}: there are {most} training images besides those for validation")


def labels_of(split: Placed) -> Tensor:
    """Return the labels of ``split``, int64 ``(n,)``; images without labels are refused before."""
    assert split.labels is not None
    return split.labels


def _stratified_order(labels: Tensor, rng: torch.Generator) -> Tensor:
    """Return the rows in a random order, every beginning of which has about the same share of each class."""
    if labels.device.type == "meta":
        return torch.arange(len(labels), device="meta")
    order = torch.randperm(len(labels), generator=rng)
    shuffled = labels.cpu()[order]
    places = torch.empty(len(labels), dtype=torch.float64)
    for label in range(int(shuffled.max()) + 1):
        rows = (shuffled == label).nonzero().flatten()
        places[rows] = (torch.arange(len(rows), dtype=torch.float64) + torch.rand(1, generator=rng)) / len(rows)
    return order[places.argsort(stable=True)]
