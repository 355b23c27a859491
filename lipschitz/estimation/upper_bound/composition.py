"""An upper bound of a network's Lipschitz constant, composed over the graph of its modules and functions."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from lipschitz.estimation.layers import WEIGHTED
from lipschitz.estimation.upper_bound.function_rules import function_rule, torch_name
from lipschitz.estimation.upper_bound.fx_tracer import Tracer, one_line, quoted
from lipschitz.estimation.upper_bound.module_rules import module_rule
from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, Factor, Traced, tensors


class Upper(NamedTuple):
    """An upper bound of a network's Lipschitz constant."""

    constant: float
    """Infinite where something in the network has no constant, or none that is known."""
    reasons: list[str]
    """What makes it infinite, by name, and what it takes for granted."""


@torch.no_grad()
def upper_bound(net: nn.Module, shape: tuple[int, ...], layers: Mapping[str, Factor]) -> Upper:
    """Compose the constants of what ``net`` is made of, for one sample of ``shape``, in the Euclidean norm.

    One after the other they multiply, a skip connection and its branch add, concatenated parts are the root of their
    sum of squares. The graph is that of `torch.fx`; it is run beside the network, and must return the same. Whatever is
    not known or cannot be traced, and every hook, is named and makes the bound infinite.

    Args:
        net: in float64 and eval mode; see `lipschitz.estimation.float64_copy.exact`.
        shape: of one sample.
        layers: what `lipschitz.estimation.upper_bound.layer_bounds.layer_bounds` returned for it.
    """
    hooked = [name for name, module in net.named_modules() if _has_hooks(module)]
    if hooked:
        return Upper(math.inf, [f"{quoted(name)} has a hook, which may change anything" for name in hooked])
    like = next(net.parameters(), torch.empty(0, dtype=torch.float64))
    rng = torch.Generator().manual_seed(0)
    example = torch.randn((1, *shape), generator=rng, dtype=torch.float64, device="cpu").to(like)
    # In a container of its own, so that a network that is one known module is a step like any other.
    root, tracer = nn.Sequential(net), Tracer()
    walk = Walk(root, example.clone(), layers, tracer.failures)
    try:
        result = walk.through(tracer.trace(root))
    except Exception as error:  # Whatever a forward pass may raise that is not run as it was written.
        return Upper(math.inf, [f"its graph as torch.fx traces it cannot be run: {one_line(error)}"])
    if not (isinstance(result.value, Tensor) and _agree(result.value, net(example.clone()))):
        said = "its graph as torch.fx traces it does not return what the network returns"
        return Upper(math.inf, [said, *walk.notes()])
    return Upper(result.constant, walk.notes())


class Walk:
    """Runs a graph on an example, and gives each value a Lipschitz constant as a function of the input."""

    def __init__(
        self, root: nn.Module, example: Tensor, layers: Mapping[str, Factor], failures: Mapping[str, str]
    ) -> None:
        self._root, self._example, self._layers, self._failures = root, example, layers, failures
        self._values: dict[fx.Node, Traced] = {}
        self._versions: dict[fx.Node, list[int]] = {}
        self._notes: dict[fx.Node, str] = {}

    def through(self, graph: fx.Graph) -> Traced:
        """Return what the graph returns."""
        for node in graph.nodes:
            if node.op == "output":
                returned = self._current(node, node.args[0])
                live = {node, *_ancestors(node)}
                self._notes = {step: note for step, note in self._notes.items() if step in live}
                return returned
            self._keep(node, self._step(node))
        raise AssertionError("a graph ends in its output")

    def notes(self) -> list[str]:
        """Return what is to be known of the steps that the output depends on, in order."""
        return list(dict.fromkeys(f"{self._described(node)} {note}" for node, note in self._notes.items()))

    def _keep(self, node: fx.Node, traced: Traced) -> None:
        self._values[node] = traced
        self._versions[node] = [value._version for value in tensors(traced.value)]

    def _step(self, node: fx.Node) -> Traced:
        if node.op == "placeholder":
            return Traced(self._example, 1.0)
        if node.op == "get_attr":
            return Traced(operator.attrgetter(str(node.target))(self._root), 0.0)
        inputs: list[Traced] = []

        def take(argument: fx.Node) -> Any:
            inputs.append(self._current(node, argument))
            return inputs[-1].value

        arguments, keywords = fx.node.map_arg(node.args, take), fx.node.map_arg(node.kwargs, take)
        function = self._function(node)
        output = function(*arguments, **keywords)
        dependent = tuple(traced for traced in inputs if traced.constant != 0)
        if not dependent:
            return Traced(output, 0.0)
        name = str(node.target) if isinstance(node.target, str) else torch_name(node.target)
        factor = self._factor(node, Call(name or "", function, arguments, keywords, dependent, output))
        if factor.constant > 0 and isinstance(output, Tensor) and not output.is_floating_point():
            factor = Factor(
                math.inf, "returns complex numbers" if output.is_complex() else "returns integers, which jump"
            )
        if factor.note:
            self._notes.setdefault(node, factor.note)
        traced = Traced(output, factor.constant)
        for argument in node.all_input_nodes:
            if self._values[argument].value is output:
                # Changed in place: what uses the argument from now on sees the output.
                self._keep(argument, traced)
        return traced

    def _current(self, node: fx.Node, argument: fx.Node) -> Traced:
        """Return the value of ``argument`` for ``node``; without a constant where it is no longer what was computed."""
        traced = self._values[argument]
        if self._versions[argument] == [value._version for value in tensors(traced.value)]:
            return traced
        self._notes[node] = "uses a value that was changed in place, by another name, since it was computed"
        return Traced(traced.value, math.inf)

    def _function(self, node: fx.Node) -> Callable[..., Any]:
        if node.op == "call_module":
            return self._root.get_submodule(str(node.target))
        if node.op == "call_method":
            method = str(node.target)
            return lambda x, *arguments, **keywords: getattr(x, method)(*arguments, **keywords)
        assert callable(node.target)
        return node.target

    def _factor(self, node: fx.Node, call: Call) -> Factor:
        if not isinstance(call.function, nn.Module):
            return function_rule(call) if call.name else UNKNOWN
        name = str(node.target)
        if isinstance(call.function, WEIGHTED) and (bound := self._layers.get(_in_net(name))) is not None:
            if not call.unary():
                return UNKNOWN
            return _WITH_ARGUMENTS if _is_told_more(call) else Factor(call.times(bound.constant), bound.note)
        if (rule := module_rule(call.function)) is not None:
            return rule(call)
        return Factor(math.inf, self._failures.get(name, UNKNOWN.note))

    def _described(self, node: fx.Node) -> str:
        if node.op == "call_module":
            name = str(node.target)
            kind = parametrize.type_before_parametrizations(self._root.get_submodule(name))
            return f"{quoted(_in_net(name))} ({kind.__name__})"
        stack = list(node.meta.get("nn_module_stack", {}).values())
        owner = quoted(_in_net(stack[-1][0] if stack else ""))
        called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
        return f"{called} in {owner}"


_WITH_ARGUMENTS = Factor(math.inf, "is called with more than its input, which may change what it applies")


def _is_told_more(call: Call) -> bool:
    """Say whether a layer is given anything but its input, such as a transposed convolution's ``output_size``."""
    return any(value is not None for value in (*call.arguments[1:], *call.keywords.values()))


def _in_net(name: str) -> str:
    """Return a name in the container as one in the network."""
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


def _agree(a: Tensor, b: Any) -> bool:
    return isinstance(b, Tensor) and a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)
