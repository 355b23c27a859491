"""Networks that take a class label beside a sample, seen as functions of the sample alone."""

import torch
from torch import Tensor, nn


def takes_labels(net: nn.Module) -> bool:
    """Say whether ``net`` is called with labels ``(n,)`` beside its input: its attribute ``takes_labels`` is true."""
    return bool(getattr(net, "takes_labels", False))


class Labelled(nn.Module):
    """x -> net(x, labels): what a constraint or a measurement of a conditional network differentiates.

    ``labels`` is int64 ``(m,)``; m divides the number of samples that the network is called with, and the labels are
    repeated as a whole, so that one label serves any number, and n labels serve real and generated samples in turn.
    """

    labels: Tensor

    def __init__(self, net: nn.Module, labels: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("labels", labels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` ``(n, ...)`` to net(x, labels)."""
        # Rounded up: labels that do not divide the samples are too many for the network, which then says so.
        times = (x.shape[0] + self.labels.shape[0] - 1) // self.labels.shape[0]
        output: Tensor = self.net(x, self.labels.repeat(times))
        return output


def label_of_any(net: nn.Module, like: Tensor) -> tuple[Tensor, ...]:
    """Return what ``net`` wants beside a sample when only shapes matter: a label, or nothing."""
    return (torch.zeros(len(like), dtype=torch.int64, device=like.device),) if takes_labels(net) else ()
