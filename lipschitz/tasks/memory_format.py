"""How images lie in memory on their way through the networks of a training step.

A convolution works in the layout of its input, and what follows keeps to it. So it is enough that the images that a
network is given, or the first maps that it makes, lie in it. Kernels stay contiguous, and so does all that constraints
keep: they reshape kernels and write through views of them.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

MemoryFormat = Literal["contiguous", "channels_last"]


def laid_out(images: Tensor, layout: MemoryFormat) -> Tensor:
    """Return ``(n, c, h, w)`` in ``layout``; samples of any shape as they are where that is ``contiguous``."""
    # Images of one channel lie in both, and a convolution chooses by their strides: `Tensor.contiguous` leaves these.
    return images if layout == "contiguous" else images.to(memory_format=torch.channels_last)


@contextmanager
def maps_laid_out(generator: nn.Module, layout: MemoryFormat) -> Iterator[None]:
    """Lay out the maps ``(n, c, h, w)`` that `torch.nn.Unflatten` makes of vectors in the block, and there alone."""
    with ExitStack() as hooks:
        if layout != "contiguous":
            for module in generator.modules():
                if isinstance(module, nn.Unflatten):
                    hooks.enter_context(module.register_forward_hook(lambda _, args, maps: laid_out(maps, layout)))
        yield
