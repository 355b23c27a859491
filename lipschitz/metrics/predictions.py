"""Logits, accuracy and cross-entropy loss of a classifier on labelled samples."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

BATCH = 500
"""Samples that go through a network at once."""


class Scores(NamedTuple):
    """Accuracy, 0 to 1, and mean cross-entropy in nats."""

    accuracy: float
    loss: float


@contextmanager
def evaluated(net: nn.Module) -> Iterator[None]:
    """Put ``net`` in eval mode, without gradients of its parameters, for the block; reparametrised weights are cached.

    Gradients by the input remain possible. Afterwards modes and ``requires_grad`` are as they were before.
    """
    modes = [(module, module.training) for module in net.modules()]
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    net.eval()
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        with parametrize.cached():
            yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        for module, training in modes:
            module.training = training


@torch.no_grad()
def logits_of(net: nn.Module, samples: Tensor, batch: int = BATCH) -> Tensor:
    """Return the logits ``(n, classes)`` of ``samples`` ``(n, ...)`` in eval mode, ``batch`` samples at a time."""
    with evaluated(net):
        return torch.cat([net(part) for part in torch.split(samples, batch)])


def scores(logits: Tensor, labels: Tensor) -> Scores:
    """Return accuracy and mean cross-entropy of ``logits`` ``(n, classes)`` and int64 ``labels`` ``(n,)``.

    In float64. Of equal logits the first counts as the prediction.

    Raises:
        ValueError: there are no samples, or the shapes or labels do not fit.
    """
    check_labels(logits, labels)
    wide = logits.double()
    correct = wide.argmax(dim=1) == labels
    return Scores(float(correct.double().mean()), float(F.cross_entropy(wide, labels)))


def check_labels(logits: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless ``logits`` is ``(n, c)`` and ``labels`` ``(n,)``, each 0 to c - 1, with n > 0, c > 1."""
    if logits.dim() != 2 or logits.shape[1] < 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} and labels of shape {tuple(labels.shape)}; "
            "expected (n, classes) and (n,), with at least one sample and two classes"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        raise ValueError(f"labels from {low} to {high}; expected 0 to {logits.shape[1] - 1}, as there are logits")
