"""A yardstick of what a device multiplies: the rate of one large matrix product, measured, not looked up."""

import torch
from torch import Tensor

from lipschitz.arithmetic import float32_products
from lipschitz.tasks.precision import Precision
from lipschitz.training.clock import median_interval, milliseconds

SIDES = {"cuda": 8192, "cpu": 2048}
CALLS = 10


def matrix_rate(precision: Precision, device: torch.device, side: int | None = None) -> float:
    """Return the TFLOP/s of products of square matrices of normal numbers, the median of `CALLS` after three more."""
    n = side or SIDES[device.type]
    rng = torch.Generator(device).manual_seed(0)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(n, n, generator=rng, device=device).to(dtype) for _ in "ab")
    out = torch.empty_like(left)
    with float32_products("tf32" if precision == "tf32" else "ieee"):
        times = [milliseconds(lambda: _multiply(left, right, out), device) for _ in range(3 + CALLS)][3:]
    return 2 * n**3 / (1e9 * median_interval(times).median)


def _multiply(left: Tensor, right: Tensor, out: Tensor) -> None:
    torch.mm(left, right, out=out)
