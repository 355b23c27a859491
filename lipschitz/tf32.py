"""Switch TF32 on or off for float32 matrix products and convolutions on CUDA, by torch's global settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

Float32 = Literal["ieee", "tf32"]


def multiply_float32(how: Float32) -> None:
    """Compute matrix products and cuDNN's convolutions in full float32 ("ieee") or in TF32, from now on."""
    _set(how, how, how)


@contextmanager
def float32_products(how: Float32) -> Iterator[None]:
    """Compute matrix products and cuDNN's convolutions in full float32 or in TF32 during the block only."""
    before = [switch.fp32_precision for switch in _switches()]
    try:
        multiply_float32(how)
        yield
    finally:
        _set(*before)


def _set(matmul: str, convolution: str, recurrent: str) -> None:
    # The older switches first, since they also set the newer ones. Reading them raises where the two disagree.
    torch.backends.cuda.matmul.allow_tf32 = matmul == "tf32"
    torch.backends.cudnn.allow_tf32 = convolution == "tf32"
    for switch, how in zip(_switches(), (matmul, convolution, recurrent), strict=True):
        switch.fp32_precision = how


def _switches() -> list[Any]:
    # Torch's type hints lack these settings.
    backends: Any = torch.backends
    return [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
