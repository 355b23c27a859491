"""New vectors from which each power iteration starts, where it does not go on from the last ones."""

from typing import Literal

import torch
from torch import Tensor

Restart = Literal["never", "random", "ones"]
"""Where power iteration starts at each update: from the last vectors, from random ones, or from ones."""

_MULTIPLIER, _INCREMENT = 6364136223846793005, 1442695040888963407
"""Of Knuth's MMIX generator, modulo 2⁶⁴, to which int64 arithmetic wraps round."""
_SHIFT = 11


def initial_state(like: Tensor) -> Tensor:
    """Return int64 numbers in the shape of ``like``, from torch's global generator: the state of `restart_vector`."""
    return torch.randint(-(2**62), 2**62, like.shape, dtype=torch.int64).to(like.device)


@torch.no_grad()
def restart_vector(vector: Tensor, state: Tensor | None) -> None:
    """Overwrite ``vector`` by one of norm one: equal entries, or random ones by a ``state``, which advances in place.

    A random entry is uniform in [-1, 1), by a linear congruential generator of its own, before the vector is divided by
    its norm. This is integer arithmetic on the device: a CUDA graph can capture it, and a checkpoint holds the state.
    """
    if state is None:
        vector.fill_(vector.numel() ** -0.5)
        return
    state.mul_(_MULTIPLIER).add_(_INCREMENT)
    numbers = (state >> _SHIFT).double() / 2.0 ** (63 - _SHIFT)
    vector.copy_(numbers / torch.linalg.vector_norm(numbers))
