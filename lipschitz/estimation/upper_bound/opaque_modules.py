"""Keep chosen modules as one call of an operator while torch.export traces a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Signature = tuple[torch.Size, ...]


class OpaqueModule:
    """A module whose forward method is not traced; it must take tensors and return one tensor."""

    def __init__(self, module: nn.Module, reason: str) -> None:
        self.module, self.reason = module, reason
        self.forward: Callable[..., Any] = module.forward
        self.outputs: dict[Signature, Tensor] = {}
        """By the shapes of the inputs, an output of the same shape and dtype."""


_opaque: list[OpaqueModule] = []
"""Those of the network that is traced; the operator names one by its index."""


@torch.library.custom_op("lipschitz::opaque_module", mutates_args=())
def opaque_call(inputs: list[Tensor], index: int) -> Tensor:
    """Stands for a call of a module in a graph, where `torch.export` keeps it as one operator; see `call_opaque`."""
    raise NotImplementedError("autograd does not see into an operator")


def call_opaque(inputs: list[Tensor], index: int) -> Tensor:
    """Call the module on tensors with values."""
    called = _opaque[index]
    output: Tensor = called.forward(*inputs)
    called.outputs[tuple(value.shape for value in inputs)] = output
    return output


@opaque_call.register_fake
def _(inputs: list[Tensor], index: int) -> Tensor:
    like = _opaque[index].outputs[tuple(value.shape for value in inputs)]
    return inputs[0].new_empty(like.shape, dtype=like.dtype)


def opaque_module(index: int) -> OpaqueModule:
    """Return the module that a call of the operator names."""
    return _opaque[index]


@contextmanager
def kept_opaque(modules: dict[nn.Module, str]) -> Iterator[None]:
    """Within the block calls of ``modules`` (with the reason for each) go through the operator.

    The network must be called once, without tracing, before it is traced: the shapes of outputs are found then. A
    module that is called with other arguments than tensors raises TypeError.
    """
    outer = _opaque[:]
    _opaque[:] = [OpaqueModule(module, reason) for module, reason in modules.items()]
    replaced = [(module, vars(module).get("forward")) for module in modules]
    for index, module in enumerate(modules):
        module.forward = _forward(index)
    try:
        yield
    finally:
        _opaque[:] = outer
        for module, forward in replaced:
            if forward is None:
                del module.forward
            else:
                module.forward = forward


def _forward(index: int) -> Callable[..., Tensor]:
    def forward(*inputs: Any, **keywords: Any) -> Tensor:
        if keywords or not inputs or not all(isinstance(value, Tensor) for value in inputs):
            raise TypeError(f"{type(_opaque[index].module).__name__} is called with other arguments than tensors")
        with_values = all(type(value) in (Tensor, nn.Parameter) for value in inputs)
        output: Tensor = (call_opaque if with_values else opaque_call)(list(inputs), index)
        if not isinstance(output, Tensor):
            raise TypeError(f"{type(_opaque[index].module).__name__} returns other values than one tensor")
        return output

    return forward
