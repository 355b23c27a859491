"""Set the precision of a training step: float32, TF32, or bfloat16 in its forward passes.

Always in float32 are the values of losses, of penalties without input gradients and of reparametrised weights, and the
updates of constraints and optimisers. Under tf32 the whole backward pass, one for the loss and all penalties, is in
TF32. Under bf16 each operation of the backward pass has the precision of its forward pass, bfloat16 or float32. Where
the device has TF32, products of float32 that remain under bf16 are in TF32: in penalties with input gradients and in
the backward pass.
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
from lipschitz.features.protocols import Protocol
from lipschitz.tf32 import float32_products

Precision = Literal["float32", "tf32", "bf16"]

AMPERE = (8, 0)
"""Least compute capability of NVIDIA devices that support TF32 and bfloat16."""


@contextmanager
def forward_precision(precision: Precision, device: torch.device, *networks: nn.Module) -> Iterator[None]:
    """Run forward passes of ``networks`` in the block in ``precision``: tf32 by `matmul_precision`, bf16 by autocast.

    Reparametrised weights are computed before the block, in float32, and cached for it, or for an outer
    `torch.nn.utils.parametrize.cached` block. Only their products with activations are rounded. Outputs may be
    bfloat16.
    """
    if precision == "float32":
        yield
        return
    with parametrize.cached():
        for network in networks:
            compute_reparametrized(network)
        with matmul_precision(precision), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            yield


@contextmanager
def matmul_precision(precision: Precision) -> Iterator[None]:
    """Compute float32 matrix products and convolutions of the block in TF32, on devices that have it, below float32."""
    # On AMD's devices the switch means something else.
    in_tf32 = precision != "float32" and torch.version.hip is None
    with float32_products("tf32") if in_tf32 else nullcontext():
        yield


def check_device(precision: Precision, device: torch.device) -> None:
    """Refuse a device that does not support ``precision``, so that no run is labelled with a precision it did not have.

    Raises:
        InputError: the device supports float32 only, or the precision is tf32 on a CPU.
    """
    if precision == "float32" or (precision == "bf16" and device.type == "cpu"):
        return
    if device.type != "cuda" or (precision == "tf32" and torch.version.hip is not None):
        supported = "float32, bf16" if device.type in ("cpu", "cuda") else "float32"
        raise InputError(f"precision {precision} is not supported on {device}; supported: {supported}")
    if torch.version.hip is None and (found := torch.cuda.get_device_capability(device)) < AMPERE:
        capability = ".".join(map(str, found))
        needs = f"precision {precision} needs compute capability {'.'.join(map(str, AMPERE))}"
        raise InputError(f"{needs}, {device} has {capability}; supported: float32")


def check_protocol(protocol: Protocol, device: torch.device) -> None:
    """Refuse a device that does not support the precision of a protocol's features.

    Raises:
        InputError: names the protocol and the device.
    """
    try:
        check_device(protocol.precision, device)
    except InputError:
        found = f"protocol {protocol.label()}: precision {protocol.precision} is not supported on {device}"
        raise InputError(f"{found}; supported: float32") from None


def check_constraint(precision: Precision, constraint: Constraint) -> None:
    """Refuse precisions in which the forward pass of a method would not be what it is in float32.

    A method whose forward pass takes steps of power iteration would round them.

    Input gradients are never taken in bfloat16. Taking this one in float32, as penalties do, would leave no part of the
    forward pass in bfloat16.

    Raises:
        Refusal: names the method.
    """
    if precision != "float32" and constraint.advances_in_forward():
        raise Refusal(
            f"{constraint.name()} advances its power iteration in forward passes, not supported in {precision}; "
            "supported: precision: float32, or advance: update"
        )
    in_forward = constraint.double_backward and type(constraint).penalty is Constraint.penalty
    if precision == "bf16" and in_forward:
        raise Refusal(
            f"{constraint.name()} takes the input gradient in every forward pass, which is not supported in bf16; "
            "supported: precision: float32 or tf32"
        )
