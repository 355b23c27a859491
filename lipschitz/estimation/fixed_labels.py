"""Conditional networks with fixed class labels, as functions of the sample alone."""

import torch
from torch import Tensor, nn


def takes_labels(net: nn.Module) -> bool:
    """Say whether ``net`` is called as net(x, labels): whether its attribute ``takes_labels`` is true."""
    return bool(getattr(net, "takes_labels", False))


class Labelled(nn.Module):
    """x -> net(x, labels): a conditional network that constraints and measurements can differentiate by the sample.

    ``labels`` is int64 ``(m,)``, where m divides the number of samples of every call. The whole of ``labels`` is
    repeated to match the samples. So one label serves any number of samples, and n labels serve n real samples followed
    by n generated ones.
    """

    labels: Tensor
    is_loss = False
    """Whether it returns the loss of each sample, whose gradient should vanish where the sample is fitted."""

    def __init__(self, net: nn.Module, labels: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("labels", labels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` ``(n, ...)`` to net(x, labels)."""
        # Rounded up: where m does not divide n, the network gets too many labels and raises an error itself.
        times = (x.shape[0] + self.labels.shape[0] - 1) // self.labels.shape[0]
        output: Tensor = self.net(x, self.labels.repeat(times))
        return output


def without_labels(net: nn.Module) -> nn.Module:
    """Return the conditional network of a `Labelled`, or any other network itself."""
    return net.net if isinstance(net, Labelled) else net


def example_labels(net: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Return the arguments that ``net`` takes after ``x`` ``(n, ...)`` when only shapes matter.

    A tuple of labels ``(n,)``, all zero, for a network that takes labels, or else an empty tuple.
    """
    return (torch.zeros(len(x), dtype=torch.int64, device=x.device),) if takes_labels(net) else ()
