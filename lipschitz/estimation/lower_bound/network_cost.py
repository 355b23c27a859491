"""Count the operations and the memory of a network, so that a search can be given a budget that repeats exactly."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

OPERATIONS_PER_ELEMENT = 20
"""Floating-point operations that an element of an intermediate value counts for, besides products of matrices."""
BATCH_ELEMENTS = 2**24
"""Most elements of all intermediate values of a batch: 128 MiB in float64, and as much again for gradients."""
MAX_BATCH = 4096


class NetworkCost(NamedTuple):
    """What one sample costs a network."""

    operations: int
    """Floating-point operations of a forward pass and of the gradient by the input, taken as twice the forward pass."""
    elements: int
    """Elements of all intermediate values of a forward pass, without those that are views of others or of weights."""

    @property
    def batch(self) -> int:
        """Number of samples of a batch that keeps to `BATCH_ELEMENTS`."""
        return min(max(BATCH_ELEMENTS // self.elements, 1), MAX_BATCH)


def network_cost(net: Callable[[Tensor], Tensor], points: Tensor) -> NetworkCost:
    """Count what the first of ``points`` ``(n, ...)`` costs ``net``; the clock plays no part."""
    counter = _Counter()
    with torch.no_grad(), counter:
        net(points[:1].clone())
    forward = counter.products + OPERATIONS_PER_ELEMENT * counter.elements
    return NetworkCost(2 * max(forward, 1), max(counter.stored, 1))


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the elements of all tensors that operations return, those that are stored, and products of matrices."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = self.stored = self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        output = func(*args, **keywords)
        elements = sum(leaf.numel() for leaf in tree_leaves(output) if isinstance(leaf, Tensor))
        self.elements += elements
        # What a function returns of its arguments, as the transposed weight of a linear layer, takes no memory.
        if not any(result.alias_info for result in func._schema.returns):
            self.stored += elements
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.products += int(formula(*args, **keywords, out_val=output))
        return output
