"""Upper bound of a network's Lipschitz constant, composed from its modules and functions over a torch.fx graph."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from lipschitz.errors import first_line
from lipschitz.estimation.layers import WEIGHTED
from lipschitz.estimation.upper_bound.function_rules import function_constant, torch_name
from lipschitz.estimation.upper_bound.module_rules import module_rule
from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, LipschitzConstant, TracedValue, tensors_in

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.DataParallel)


class Tracer(fx.Tracer):
    """Traces with these modules as leaves: those with a known constant, and those that torch.fx cannot trace."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[str, str] = {}
        """Why a module could not be traced, by its name in the graph."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Say whether ``m`` is weighted, has a rule, or is a module of torch other than a container."""
        kind = parametrize.type_before_parametrizations(m)
        of_torch = kind.__module__.startswith("torch.") and kind not in CONTAINERS
        return isinstance(m, WEIGHTED) or of_torch or module_rule(m) is not None

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Trace into ``m``; if that fails, record one call of ``m`` and the reason."""
        stack = self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:  # A forward pass may raise any error on torch.fx's proxies.
            self.module_stack = stack
            name = self.path_of_module(m)
            self.failures.setdefault(name, f"cannot be traced by torch.fx: {first_line(error)}")
            return self.create_proxy("call_module", name, args, kwargs)


def quoted(name: str) -> str:
    """Return a module's name in quotation marks, or "the network" for the empty name of the network itself."""
    return f"'{name}'" if name else "the network"


class UpperBound(NamedTuple):
    """An upper bound of a network's Lipschitz constant."""

    constant: float
    """Infinite where some part of the network has no Lipschitz constant, or none that is known."""
    reasons: list[str]
    """By name, the parts that make the bound infinite, and the conditions under which the bound holds."""
    product: float | None = None
    """The bound by constants of single layers alone; None where it is ``constant``."""
    method: str = "product"
    """Which bound ``constant`` is."""


@torch.no_grad()
def upper_bound(net: nn.Module, shape: tuple[int, ...], layers: Mapping[str, LipschitzConstant]) -> UpperBound:
    """Bound the Lipschitz constant of ``net`` for one sample of ``shape``, in the Euclidean norm.

    Constants of consecutive steps multiply, those of a skip connection and its branch add, and concatenation takes the
    root of the sum of squares. The network is traced by `torch.fx`. The graph is run on an example and must return what
    the network returns. A part that is unknown or cannot be traced, and every hook, makes the bound infinite and is
    named in ``reasons``.

    Args:
        net: in float64 and eval mode; see `lipschitz.estimation.float64_copy.float64_copy`.
        shape: of one sample.
        layers: the result of `lipschitz.estimation.upper_bound.layer_bounds.layer_bounds` for ``net``.
    """
    hooked = [name for name, module in net.named_modules() if _has_hooks(module)]
    if hooked:
        return UpperBound(math.inf, [f"{quoted(name)} has a hook, which may change any value" for name in hooked])
    like = next(net.parameters(), torch.empty(0, dtype=torch.float64))
    rng = torch.Generator().manual_seed(0)
    example = torch.randn((1, *shape), generator=rng, dtype=torch.float64, device="cpu").to(like)
    # In a container, so that a network that is a single known module is one node of the graph.
    root, tracer = nn.Sequential(net), Tracer()
    interpreter = Interpreter(root, example.clone(), layers, tracer.failures)
    try:
        result = interpreter.run(tracer.trace(root))
    except Exception as error:  # A traced forward pass may raise any error.
        return UpperBound(math.inf, [f"the torch.fx graph of the network cannot be run: {first_line(error)}"])
    if not (isinstance(result.value, Tensor) and _same_output(result.value, net(example.clone()))):
        reason = "the torch.fx graph of the network does not return what the network returns"
        return UpperBound(math.inf, [reason, *interpreter.notes()])
    return UpperBound(result.constant, interpreter.notes())


class Interpreter:
    """Runs a torch.fx graph on an example, and computes each value's Lipschitz constant as a function of the input."""

    def __init__(
        self, root: nn.Module, example: Tensor, layers: Mapping[str, LipschitzConstant], failures: Mapping[str, str]
    ) -> None:
        self._root, self._example, self._layers, self._failures = root, example, layers, failures
        self._values: dict[fx.Node, TracedValue] = {}
        self._versions: dict[fx.Node, list[int]] = {}
        self._notes: dict[fx.Node, str] = {}

    def run(self, graph: fx.Graph) -> TracedValue:
        """Run the graph; return its output and the output's Lipschitz constant."""
        for node in graph.nodes:
            if node.op == "output":
                returned = self._current(node, node.args[0])
                live = {node, *_ancestors(node)}
                self._notes = {step: note for step, note in self._notes.items() if step in live}
                return returned
            self._store(node, self._evaluate(node))
        raise AssertionError("a graph ends in its output")

    def notes(self) -> list[str]:
        """Return the notes on the nodes that the output depends on, in order and without repetition."""
        return list(dict.fromkeys(f"{self._describe(node)} {note}" for node, note in self._notes.items()))

    def _store(self, node: fx.Node, traced: TracedValue) -> None:
        self._values[node] = traced
        self._versions[node] = [value._version for value in tensors_in(traced.value)]

    def _evaluate(self, node: fx.Node) -> TracedValue:
        if node.op == "placeholder":
            return TracedValue(self._example, 1.0)
        if node.op == "get_attr":
            return TracedValue(operator.attrgetter(str(node.target))(self._root), 0.0)
        inputs: list[TracedValue] = []

        def take(argument: fx.Node) -> Any:
            inputs.append(self._current(node, argument))
            return inputs[-1].value

        arguments, keywords = fx.node.map_arg(node.args, take), fx.node.map_arg(node.kwargs, take)
        function = self._function(node)
        output = function(*arguments, **keywords)
        dependent = tuple(traced for traced in inputs if traced.constant != 0)
        if not dependent:
            return TracedValue(output, 0.0)
        name = str(node.target) if isinstance(node.target, str) else torch_name(node.target)
        constant = self._constant(node, Call(name or "", function, arguments, keywords, dependent, output))
        if constant.constant > 0 and isinstance(output, Tensor) and not output.is_floating_point():
            reason = "returns complex numbers" if output.is_complex() else "returns integers, so it is discontinuous"
            constant = LipschitzConstant(math.inf, reason)
        if constant.note:
            self._notes.setdefault(node, constant.note)
        traced = TracedValue(output, constant.constant)
        for argument in node.all_input_nodes:
            if self._values[argument].value is output:
                # Changed in place: later uses of the argument see the output.
                self._store(argument, traced)
        return traced

    def _current(self, node: fx.Node, argument: fx.Node) -> TracedValue:
        """Return the value of ``argument`` for ``node``; its constant is infinite if it was changed since."""
        traced = self._values[argument]
        if self._versions[argument] == [value._version for value in tensors_in(traced.value)]:
            return traced
        self._notes[node] = "uses a value that was changed in place after it was computed"
        return TracedValue(traced.value, math.inf)

    def _function(self, node: fx.Node) -> Callable[..., Any]:
        if node.op == "call_module":
            return self._root.get_submodule(str(node.target))
        if node.op == "call_method":
            method = str(node.target)
            return lambda x, *arguments, **keywords: getattr(x, method)(*arguments, **keywords)
        assert callable(node.target)
        return node.target

    def _constant(self, node: fx.Node, call: Call) -> LipschitzConstant:
        if not isinstance(call.function, nn.Module):
            return function_constant(call) if call.name else UNKNOWN
        name = str(node.target)
        if isinstance(call.function, WEIGHTED) and (bound := self._layers.get(_name_in_network(name))) is not None:
            if not call.is_unary():
                return UNKNOWN
            if _has_extra_arguments(call):
                return LipschitzConstant(
                    math.inf, "is called with more than its input, which may change the operator that it applies"
                )
            return LipschitzConstant(call.times_input_constant(bound.constant), bound.note)
        if (rule := module_rule(call.function)) is not None:
            return rule(call)
        return LipschitzConstant(math.inf, self._failures.get(name, UNKNOWN.note))

    def _describe(self, node: fx.Node) -> str:
        if node.op == "call_module":
            name = str(node.target)
            kind = parametrize.type_before_parametrizations(self._root.get_submodule(name))
            return f"{quoted(_name_in_network(name))} ({kind.__name__})"
        stack = list(node.meta.get("nn_module_stack", {}).values())
        owner = quoted(_name_in_network(stack[-1][0] if stack else ""))
        called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
        return f"{called} in {owner}"


def _has_extra_arguments(call: Call) -> bool:
    """Say whether a layer is given more than its input, such as a transposed convolution's ``output_size``."""
    return any(value is not None for value in (*call.arguments[1:], *call.keywords.values()))


def _name_in_network(name: str) -> str:
    """Return the name in the network of a module that has ``name`` in the container around it."""
    return name.partition(".")[2]


def _has_hooks(module: nn.Module) -> bool:
    kinds = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(kinds)


def _ancestors(node: fx.Node) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = [node]
    while waiting:
        for argument in waiting.pop().all_input_nodes:
            if argument not in found:
                found.add(argument)
                waiting.append(argument)
    return found


def _same_output(a: Tensor, b: Any) -> bool:
    return isinstance(b, Tensor) and a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)
