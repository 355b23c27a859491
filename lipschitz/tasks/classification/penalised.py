"""A classifier as a function with one output, whose gradient by the image a penalty sees."""

from typing import Literal

import torch
from torch import Tensor, nn

from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.tasks.losses import ClassifierLoss, margins

Scalar = Literal["loss", "logit", "margin"]
"""What of a classifier a penalty of its gradient sees. loss: the loss of each image (Drucker and LeCun 1992, double
backpropagation). logit: the logit of its class. margin: that less the largest other one."""


class Penalised(Labelled):
    """x -> the scalar of each image, ``(n, 1)``: of a classifier's logits and the images' labels."""

    def __init__(self, net: nn.Module, labels: Tensor, scalar: Scalar, loss: ClassifierLoss) -> None:
        super().__init__(net, labels)
        self._scalar, self._loss = scalar, loss
        self.is_loss = scalar == "loss"

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` ``(k n, *shape)`` to ``(k n, 1)``; labels ``(n,)`` repeat."""
        return self.of_logits(self.net(x))

    def of_logits(self, logits: Tensor) -> Tensor:
        """Map logits ``(k n, classes)`` to ``(k n, 1)``; labels ``(n,)`` repeat."""
        times = -(-len(logits) // len(self.labels))
        labels = self.labels if times == 1 else self.labels.repeat(times)
        if self._scalar == "loss":
            return self._loss.of_samples(logits, labels)[:, None]
        if self._scalar == "margin":
            return margins(logits, labels)[:, None]
        return torch.gather(logits, 1, labels[:, None])
