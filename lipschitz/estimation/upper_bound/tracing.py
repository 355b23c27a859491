"""Trace a network into a graph of ATen operators with torch.export, and run the graph."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind, OutputKind

from lipschitz.errors import first_line
from lipschitz.estimation.circular_convolution import convolved_by_torch
from lipschitz.estimation.upper_bound.opaque_modules import call_opaque, kept_opaque
from lipschitz.out_of_memory import lacks_memory
from lipschitz.tf32 import float32_products

Evaluate = Callable[[fx.Node, tuple[Any, ...], dict[str, Any]], Any]
"""Returns the value of a node, given the values of its arguments."""


class UntraceableError(Exception):
    """A network that torch.export cannot trace, even with some of its modules kept as one call."""


class Graph:
    """A traced network: a graph of ATen operators, and the tensors that it uses besides the network's input."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.module = program.graph_module
        self.constants: dict[str, Tensor] = {}
        """Parameters, buffers and constants, by the name of their placeholder."""
        tensors = {**program.constants, **program.state_dict}
        for spec in program.graph_signature.input_specs:
            if spec.kind is not InputKind.USER_INPUT and spec.target in tensors:
                self.constants[spec.arg.name] = tensors[spec.target]
        outputs = program.graph_signature.output_specs
        self.returned = [index for index, spec in enumerate(outputs) if spec.kind is OutputKind.USER_OUTPUT]
        """Which outputs of the graph the network returns; the others are new values of its buffers or its input."""
        kinds = (OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION)
        self.changed = {str(spec.target) for spec in outputs if spec.kind in kinds}
        """Names of the parameters and buffers that a forward pass changes."""
        output = next(node for node in reversed(self.module.graph.nodes) if node.op == "output")
        used = _ancestors(output.args[0][self.returned[0]]) if len(self.returned) == 1 else set()
        names = {node.name for node in used}
        self.read = {
            str(spec.target) for spec in program.graph_signature.input_specs if getattr(spec.arg, "name", "") in names
        }
        """Names of the tensors that the network's output depends on."""

    def run(
        self, evaluate: Evaluate, network_input: Any, wrap: Callable[[Tensor], Any] = lambda constant: constant
    ) -> Any:
        """Return the value of the network's output; ``wrap`` makes a value from each of `constants`."""
        placeholders = (node.name for node in self.module.graph.nodes if node.op == "placeholder")
        inputs = [wrap(self.constants[name]) if name in self.constants else network_input for name in placeholders]
        return _run(self.module, inputs, evaluate)[self.returned[0]]

    def __call__(self, x: Tensor) -> Any:
        """Run the graph on ``x``."""
        return self.run(
            lambda node, arguments, keywords: implementation(node)(*unchanged(node, arguments), **keywords), x, _same
        )


def _same(constant: Tensor) -> Tensor:
    return constant


def implementation(node: fx.Node) -> Callable[..., Any]:
    """Return the function that a node of the graph calls."""
    assert callable(node.target)
    return call_opaque if node.target is torch.ops.lipschitz.opaque_module.default else node.target


def unchanged(node: fx.Node, arguments: Sequence[Any]) -> list[Any]:
    """Return the arguments of a call with copies of the tensors that the operator changes in place."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return list(arguments)
    pairs = zip(arguments, schema.arguments, strict=False)
    return [value.clone() if argument.is_write else value for value, argument in pairs]


@contextmanager
def traced(net: nn.Module, example: Tensor) -> Iterator[Graph]:
    """Trace ``net``, which must be in eval mode, with an example of its input; the graph can be run within the block.

    A module that declares its Lipschitz constant stays one call. So does the innermost module that torch.export cannot
    trace: see `lipschitz.estimation.upper_bound.opaque_modules`. The graph has no operators that change a tensor in
    place, other than a value that is not used again.

    Raises:
        UntraceableError: no graph can be made even so.
    """
    opaque = {module: "" for module in net.modules() if getattr(module, "lipschitz_constant", None) is not None}
    while True:
        with kept_opaque(opaque):
            try:
                # Finds the shapes of the outputs of the modules that are not traced.
                net(example.clone())
                graph = _export(net, example)
            except Exception as error:  # A forward pass may raise any error on tensors without values.
                if lacks_memory(error):
                    raise
                failed = _innermost_module(error, net, opaque)
                if failed is None:
                    raise UntraceableError(_reason(error)) from error
                opaque[failed] = _reason(error)
                continue
            yield graph
            return


def _export(net: nn.Module, example: Tensor) -> Graph:
    # torch.export saves and restores cuDNN's old TF32 switch, which torch can only read if it is on, or never was set.
    with _quiet(), float32_products("tf32"), convolved_by_torch(net):
        program = torch.export.export(net, (example,), strict=False)
        if any(map(_changes_a_used_value, program.graph_module.modules())):
            program = program.run_decompositions({})
    return Graph(program)


def _ancestors(value: Any) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = [value] if isinstance(value, fx.Node) else []
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch's warnings, and what it logs and prints of a failed export, within the block."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _changes_a_used_value(module: nn.Module) -> bool:
    """Say whether an operator of the graph changes in place a value that is used again, or that has several names."""
    if not isinstance(module, fx.GraphModule):
        return False
    for node in module.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.is_mutable:
            continue
        changed = [value for value, argument in zip(node.args, schema.arguments, strict=False) if argument.is_write]
        if len(changed) != 1 or not isinstance(changed[0], fx.Node) or len(changed[0].users) > 1:
            return True
        made_by = getattr(changed[0].target, "_schema", None)
        if made_by is None or any(result.alias_info for result in made_by.returns):
            return True
    return False


def _run(module: fx.GraphModule, inputs: list[Any], evaluate: Evaluate) -> Any:
    """Run a graph; a part of it that only has another grad mode is run in its place."""
    values: dict[fx.Node, Any] = {}
    waiting = iter(inputs)
    for node in module.graph.nodes:
        arguments = fx.node.map_arg(node.args, values.__getitem__)
        if node.op == "placeholder":
            values[node] = next(waiting)
        elif node.op == "get_attr":
            values[node] = getattr(module, str(node.target))
        elif node.op == "output":
            return arguments[0]
        elif getattr(node.target, "__name__", "") == "wrap_with_set_grad_enabled":
            values[node] = _run(arguments[1], list(arguments[2:]), evaluate)
        else:
            values[node] = evaluate(node, arguments, fx.node.map_arg(node.kwargs, values.__getitem__))
    raise AssertionError("a graph ends in its output")


def _innermost_module(error: BaseException, net: nn.Module, opaque: dict[nn.Module, str]) -> nn.Module | None:
    """Return the innermost module of ``net`` whose call raised the error, without those that are opaque.

    A module that is used several times is traced as another object with the same attributes.
    """
    modules = {id(vars(module)): module for module in net.modules() if module not in opaque}
    found = None
    trace = error.__traceback__
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if isinstance(owner, nn.Module):
            found = modules.get(id(vars(owner)), found)
        trace = trace.tb_next
    return found


def _reason(error: Exception) -> str:
    if "DataDependent" in type(error).__name__:
        return "cannot be traced by torch.export: it branches on values that depend on its input"
    return f"cannot be traced by torch.export: {first_line(error)}"
