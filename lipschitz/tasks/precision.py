"""In which arithmetic a training step multiplies: float32, TF32, or bfloat16 in its forward passes.

Always in float32 are the values of losses, of penalties that do not differentiate by the input, and of what constraints
make of weights, and the updates of constraints and optimisers. Gradients are another matter: under tf32 the backward
pass, one for the loss and all penalties, is in TF32 throughout, through those values too. Under bf16 it multiplies as
the forward pass did, in bfloat16 or float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Constraint, Refusal
from lipschitz.errors import InputError
from lipschitz.estimation.layers import compute_reparametrized
from lipschitz.tf32 import float32_products

Precision = Literal["float32", "tf32", "bf16"]

AMPERE = (8, 0)
"""The compute capability from which NVIDIA's devices multiply in TF32 and bfloat16."""


@contextmanager
def forward_passes(precision: Precision, device: torch.device, *networks: nn.Module) -> Iterator[None]:
    """Make the forward passes of ``networks`` in the block in ``precision``: tf32 as `products`, bf16 by autocast.

    What a constraint makes of a weight is computed before, in float32, and kept for the block, or for that of an outer
    `torch.nn.utils.parametrize.cached`: forwards only its product with activations is rounded. Outputs may be bfloat16.
    """
    if precision == "float32":
        yield
        return
    with parametrize.cached():
        for network in networks:
            compute_reparametrized(network)
        with products(precision), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            yield


@contextmanager
def products(precision: Precision) -> Iterator[None]:
    """Let float32 be multiplied in TF32 in the block if that is ``precision``; else as it is, in a worker in full."""
    with float32_products("tf32") if precision == "tf32" else nullcontext():
        yield


def check_device(precision: Precision, device: torch.device) -> None:
    """Refuse a device that does not multiply in ``precision``, so that no run bears the name of what it was not.

    Raises:
        InputError: tf32 anywhere but on CUDA, or on a device that knows none; bf16 on CUDA without it.
    """
    if precision == "float32" or (precision == "bf16" and device.type == "cpu"):
        return
    if device.type != "cuda" or (precision == "tf32" and torch.version.hip is not None):
        allowed = "float32 or bf16" if device.type in ("cpu", "cuda") else "float32"
        raise InputError(f"precision {precision} cannot be had on {device}; allowed there: {allowed}")
    if torch.version.hip is None and (found := torch.cuda.get_device_capability(device)) < AMPERE:
        capability = ".".join(map(str, found))
        needs = f"precision {precision} needs compute capability {'.'.join(map(str, AMPERE))}"
        raise InputError(f"{needs}, and {device} has {capability}; allowed: float32")


def check_constraint(precision: Precision, constraint: Constraint) -> None:
    """Refuse bf16 for a method whose forward pass differentiates the network by its input.

    Such a gradient is never taken in less than TF32; in float32, as penalties are, it would leave nothing in bf16.

    Raises:
        Refusal: naming the method.
    """
    in_forward = constraint.double_backward and type(constraint).penalty is Constraint.penalty
    if precision == "bf16" and in_forward:
        raise Refusal(
            f"{constraint.name()} takes the gradient by the input in every forward pass, which is never done in bf16; "
            "allowed: precision: float32 or tf32"
        )
