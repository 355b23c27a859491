"""A yardstick of what a device multiplies: the rate of one large matrix product, measured, not looked up."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from lipschitz.tasks.precision import Precision
from lipschitz.tf32 import float32_products
from lipschitz.training.clock import median_interval, milliseconds

SIDES = {"cuda": 8192, "cpu": 2048}
CALLS = 10


def matrix_rate(precision: Precision, device: torch.device, side: int | None = None) -> float:
    """Return the TFLOP/s of products of square matrices of normal numbers, the median of `CALLS` after three more.

    As a product or as a convolution by a kernel of one pixel, whichever is faster: on a CPU torch takes them from two
    libraries, of which one may not know the processor.
    """
    n = side or SIDES[device.type]
    rng = torch.Generator(device).manual_seed(0)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(n, n, generator=rng, device=device).to(dtype) for _ in "ab")
    with float32_products("tf32" if precision == "tf32" else "ieee"):
        fastest = min(_median(product, left, right, device) for product in (torch.mm, _as_convolution))
    return 2 * n**3 / (1e9 * fastest)


def _as_convolution(left: Tensor, right: Tensor) -> Tensor:
    """Return the product of ``(m, k)`` and ``(k, n)`` as ``(1, m, 1, n)``."""
    return conv2d(right[None, :, None, :], left[:, :, None, None])


def _median(product: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor, device: torch.device) -> float:
    times = [milliseconds(lambda: product(left, right), device) for _ in range(3 + CALLS)][3:]
    return median_interval(times).median
