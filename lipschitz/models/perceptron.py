"""Multilayer perceptron, whose hidden layers are blocks with a ``norm`` slot."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from lipschitz.models.base import Activation, activation


def perceptron(inputs: int, outputs: int, *, width: int, depth: int, name: Activation) -> nn.Sequential:
    """Return a perceptron ``(n, inputs)`` -> ``(n, outputs)`` with ``depth`` hidden layers of ``width`` units.

    Weights have torch's default initialisation.
    """
    blocks = [_block(a, b, name) for a, b in pairwise([inputs] + [width] * depth)]
    return nn.Sequential(OrderedDict(blocks=nn.Sequential(*blocks), output=nn.Linear(width, outputs)))


def _block(inputs: int, outputs: int, name: Activation) -> nn.Module:
    return nn.Sequential(
        OrderedDict(linear=nn.Linear(inputs, outputs), norm=nn.Identity(), activation=activation(name))
    )
