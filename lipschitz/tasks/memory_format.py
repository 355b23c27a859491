"""Memory format of the images in a training step: contiguous or channels_last.

A convolution returns its output in the memory format of its input, and the layers that follow keep it. It is therefore
enough to convert the images that a network is given, or the first maps that it makes. Kernels and the state of
constraints stay contiguous: constraints reshape kernels and write through views of them.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

MemoryFormat = Literal["contiguous", "channels_last"]


def to_memory_format(images: Tensor, memory_format: MemoryFormat) -> Tensor:
    """Return ``images`` ``(n, c, h, w)`` in ``memory_format``; samples of any shape are unchanged by ``contiguous``."""
    # Images of one channel are in both formats, so `Tensor.contiguous` would leave their strides; but a convolution
    # chooses its format by the strides.
    return images if memory_format == "contiguous" else images.to(memory_format=torch.channels_last)


@contextmanager
def maps_in_memory_format(generator: nn.Module, memory_format: MemoryFormat) -> Iterator[None]:
    """Convert, in the block, the maps ``(n, c, h, w)`` that the `torch.nn.Unflatten` layers of ``generator`` return."""
    with ExitStack() as hooks:
        if memory_format != "contiguous":
            for module in generator.modules():
                if isinstance(module, nn.Unflatten):
                    hook = module.register_forward_hook(lambda _, args, maps: to_memory_format(maps, memory_format))
                    hooks.enter_context(hook)
        yield
