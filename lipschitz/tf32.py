"""How torch multiplies float32 tensors on CUDA: in full, or in TF32 of ten bits; it keeps that in global switches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

Float32 = Literal["ieee", "tf32"]


def multiply_float32(how: Float32) -> None:
    """Let matrix products and cuDNN's convolutions take TF32 or not, in this process from now on."""
    for switch in _switches():
        switch.fp32_precision = how


@contextmanager
def float32_products(how: Float32) -> Iterator[None]:
    """Let matrix products and cuDNN's convolutions take TF32 or not in the block; what held before holds afterwards."""
    before = [(switch, switch.fp32_precision) for switch in _switches()]
    try:
        multiply_float32(how)
        yield
    finally:
        for switch, was in before:
            switch.fp32_precision = was


def _switches() -> list[Any]:
    # Torch's types do not know them.
    backends: Any = torch.backends
    return [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
