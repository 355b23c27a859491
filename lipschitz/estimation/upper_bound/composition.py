"""Upper bound of a network's Lipschitz constant, composed from its operators over a graph by torch.export."""

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from lipschitz.errors import first_line
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.estimation.upper_bound.chains import ChainBounds, Chains
from lipschitz.estimation.upper_bound.graph_checks import random_inputs, why_not_a_function
from lipschitz.estimation.upper_bound.opaque_modules import call_opaque, opaque_module
from lipschitz.estimation.upper_bound.operator_bounds import OperatorBounds
from lipschitz.estimation.upper_bound.operator_rules import draws_in_training_alone, operator_constant
from lipschitz.estimation.upper_bound.scalar_functions import scalar_step
from lipschitz.estimation.upper_bound.traced_call import (
    UNKNOWN,
    Call,
    LipschitzConstant,
    Step,
    TracedValue,
    product,
    why_not_real,
)
from lipschitz.estimation.upper_bound.tracing import Graph, UntraceableError, implementation, traced, unchanged
from lipschitz.out_of_memory import lacks_memory

FLOPS = 3e10
"""Floating-point operations that may be spent on a thorough search for each run of steps; see `chain_bound`."""
FULLY_BOUNDED = 20
"""Most classes of a conditional network for which runs of steps are bounded as one, class by class."""


class UpperBound(NamedTuple):
    """An upper bound of a network's Lipschitz constant."""

    constant: float
    """Infinite where some part of the network has no Lipschitz constant, or none that is known."""
    reasons: list[str]
    """By name, the parts that make the bound infinite, and the conditions under which the bound holds."""
    product: float = math.inf
    """The bound that is composed of the constants of single operators; at least ``constant``."""

    @property
    def method(self) -> str:
        """Which bound ``constant`` is."""
        return "semidefinite" if self.constant < self.product else "product"


@torch.no_grad()
def upper_bound(
    net: nn.Module,
    shape: tuple[int, ...],
    operators: OperatorBounds | None = None,
    *,
    flops: float = FLOPS,
    total: float = math.inf,
) -> UpperBound:
    """Bound the Lipschitz constant of ``net`` for one sample of ``shape``, in the Euclidean norm.

    Constants of consecutive steps multiply, those of a skip connection and its branch add, and concatenation takes the
    root of the sum of squares. A run of linear maps and elementwise activations is also bounded as one, by semidefinite
    relaxation, and the smaller bound is taken. The network is traced by `torch.export` with a batch of one sample. The
    graph must return what the network returns, on inputs of several sizes. A part that is unknown or cannot be traced
    makes the bound infinite and is named in ``reasons``.

    Args:
        net: in float64 and eval mode; see `lipschitz.estimation.float64_copy.float64_copy`.
        shape: of one sample.
        operators: bounds of layers that are already known; see `lipschitz.estimation.upper_bound.layer_bounds`.
        flops: floating-point operations that may be spent on each run of steps; see
            `lipschitz.estimation.upper_bound.semidefinite.certificate.chain_bound`. With none, runs are not bounded.
        total: operations of one evaluation of all runs together; see `ChainBounds`.
    """
    examples = random_inputs(net, shape)
    operators = OperatorBounds() if operators is None else operators
    try:
        with traced(net, examples[0]) as graph:
            if (reason := why_not_a_function(net, graph, examples)) is not None:
                return UpperBound(math.inf, [reason])
            return _bound(net, graph, examples[0], operators, ChainBounds(flops, total) if flops > 0 else None)
    except UntraceableError as error:
        return UpperBound(math.inf, [f"the network {error}"])


@torch.no_grad()
def upper_bound_over_classes(
    net: nn.Module, shape: tuple[int, ...], classes: int, operators: OperatorBounds | None = None
) -> UpperBound:
    """Bound the Lipschitz constants of x -> net(x, y) for all classes y, as `upper_bound` does for one.

    The network is traced once, and the graph must return what the network returns for every class. With more than
    `FULLY_BOUNDED` classes runs of steps are not bounded as one.
    """
    labels = list(torch.arange(classes, device=next(net.parameters(), torch.empty(0)).device).view(-1, 1))
    view, operators = Labelled(net, labels[0]), OperatorBounds() if operators is None else operators
    examples = random_inputs(view, shape)
    # Runs that do not depend on the class are bounded once.
    bounds = ChainBounds(FLOPS / classes) if classes <= FULLY_BOUNDED else None
    found = []
    try:
        with traced(view, examples[0]) as graph:
            given = [name for name, value in graph.constants.items() if value.data_ptr() == view.labels.data_ptr()]
            for label in labels:
                view.labels = label
                graph.constants.update(dict.fromkeys(given, label))
                if (reason := why_not_a_function(view, graph, examples)) is not None:
                    return UpperBound(math.inf, [f"class {int(label)}: {reason}"])
                found.append(_bound(view, graph, examples[0], operators, bounds))
    except UntraceableError as error:
        return UpperBound(math.inf, [f"the network {error}"])
    worst = max(found, key=lambda bound: bound.constant)
    return worst._replace(product=max(bound.product for bound in found))


def _bound(
    net: nn.Module, graph: Graph, example: Tensor, operators: OperatorBounds, bounds: ChainBounds | None
) -> UpperBound:
    interpreter = Interpreter(net, operators)
    by_steps = interpreter.run(graph, example)
    if bounds is None or not 0 < by_steps.constant < math.inf:
        return UpperBound(by_steps.constant, interpreter.notes(by_steps), by_steps.constant)
    runs = Interpreter(net, operators, Chains(bounds))
    constant = min(by_steps.constant, runs.run(graph, example).constant)
    return UpperBound(constant, interpreter.notes(by_steps), by_steps.constant)


class Interpreter:
    """Evaluates the operators of a graph on an example, and each value's Lipschitz constant.

    With ``chains``, the constants of values that end a run of steps are tightened by the bound of the run.
    """

    def __init__(self, net: nn.Module, operators: OperatorBounds, chains: Chains | None = None) -> None:
        self._modules = dict(net.named_modules(remove_duplicate=False))
        self.operators, self._chains = operators, chains
        self._evaluated: dict[tuple[Any, ...], TracedValue] = {}
        self._notes: list[tuple[TracedValue, str]] = []

    def run(self, graph: Graph, example: Tensor) -> TracedValue:
        """Evaluate ``graph`` on ``example`` and return its output."""
        result: TracedValue = graph.run(
            self.evaluate, TracedValue(example.clone(), 1.0), lambda constant: TracedValue(constant, 0.0)
        )
        return self._chains.tightened(result) if self._chains else result

    def evaluate(self, node: fx.Node, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> TracedValue:
        """Return the value of ``node``; arguments hold a `TracedValue` for each value of the graph.

        A call that is repeated with the same arguments has one value.
        """
        function = implementation(node)
        key = (node.target, _hashable(arguments), _hashable(keywords))
        if key not in self._evaluated:
            self._evaluated[key] = self._traced(node, function, arguments, keywords)
        return self._evaluated[key]

    def _traced(
        self, node: fx.Node, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> TracedValue:
        inputs = tuple(value for value in _traced_in((arguments, keywords)) if value.constant != 0)
        plain, named = _values((arguments, keywords))
        output = function(*unchanged(node, plain), **named)
        call = Call(operator_name(node.target), function, plain, named, inputs, output)
        if not inputs and not _draws(node, call.name):
            return TracedValue(output, 0.0)
        traced = self._value(node, call)
        if self._chains is not None and not self._chains.extend(traced):
            tight = tuple(map(self._chains.tightened, inputs))
            if any(a is not b for a, b in zip(tight, inputs, strict=True)):
                traced = self._value(node, replace(call, inputs=tight))
        return traced

    def _value(self, node: fx.Node, call: Call) -> TracedValue:
        try:
            found, step = self._bounded(node, call)
        except Exception as error:  # Arguments that torch accepts, such as an empty tensor, may not fit a rule.
            if lacks_memory(error):
                raise
            reason = f"is not known with these arguments: {first_line(error)}"
            found, step = LipschitzConstant(math.inf, reason), None
        if math.isnan(found.constant):
            found = UNKNOWN
        traced = TracedValue(call.output, found.constant, step, call)
        if found.note:
            self._notes.append((traced, f"{self._describe(node)} {found.note}"))
        return traced

    def notes(self, result: TracedValue) -> list[str]:
        """Return the notes on the values that ``result`` depends on, in order and without repetition."""
        live = {id(value) for value in _ancestors(result)}
        return list(dict.fromkeys(note for value, note in self._notes if id(value) in live))

    def _bounded(self, node: fx.Node, call: Call) -> tuple[LipschitzConstant, Step | None]:
        if _draws(node, call.name):
            return LipschitzConstant(math.inf, "draws random numbers"), None
        found = _declared(call) if call.function is call_opaque else operator_constant(call, self.operators)
        if found.constant > 0 and isinstance(call.output, Tensor) and (reason := why_not_real(call.output)):
            return LipschitzConstant(math.inf, reason), None
        if found.slopes is not None or found.linear is not None:
            source = call.inputs[0]
            norm = found.constant / source.constant if source.constant < math.inf else math.inf
            return found, Step(source, found.slopes, found.linear, norm)
        step = scalar_step(call)
        if step is not None and step.slopes is not None:
            bound = product(step.slopes.constant, step.source.constant)
            found = LipschitzConstant(bound) if bound <= found.constant else found
        return found, step

    def _describe(self, node: fx.Node) -> str:
        stack = list(node.meta.get("nn_module_stack", {}).values())
        name = str(stack[-1][0]) if stack else ""
        module = self._modules.get(name) or self._modules[""]
        kind = parametrize.type_before_parametrizations(module).__name__
        owner = f"'{name}' ({kind})" if name else f"the network ({kind})"
        if implementation(node) is call_opaque:
            return owner
        return f"{operator_name(node.target)} in {owner}"


def operator_name(function: Any) -> str:
    """Return the name of an ATen operator without its namespace, its overload, and the underscore of in-place ones.

    An operator of another library keeps its namespace, so that it is not taken for one of ATen.
    """
    if function is operator.getitem:
        return "getitem"
    schema = getattr(function, "_schema", None)
    if schema is None:
        return f"{getattr(function, '__module__', '')}.{getattr(function, '__name__', function)}"
    name: str = schema.name.removeprefix("aten::")
    return name.removesuffix("_") if schema.is_mutable else name


def _draws(node: fx.Node, name: str) -> bool:
    may_draw = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
    return may_draw and not draws_in_training_alone(name)


def _declared(call: Call) -> LipschitzConstant:
    """The constant that a module declares, or the reason why a module that declares none could not be traced."""
    module = opaque_module(call.arguments[1])
    declared = getattr(module.module, "lipschitz_constant", None)
    if declared is None:
        return LipschitzConstant(math.inf, module.reason)
    if len(call.inputs) != 1:
        return UNKNOWN
    constant, reason = float(declared), str(getattr(module.module, "lipschitz_reason", ""))
    if not constant >= 0:
        constant, reason = math.inf, f"{constant} is no Lipschitz constant"
    note = f"declares a Lipschitz constant of {constant:g}"
    note = f"{note}: {reason}" if reason else note if constant == math.inf else ""
    return LipschitzConstant(call.times_input_constant(constant), note)


def _traced_in(value: Any) -> Iterator[TracedValue]:
    if isinstance(value, TracedValue):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _traced_in(part)
    elif isinstance(value, dict):
        yield from _traced_in(tuple(value.values()))


def _values(value: Any) -> Any:
    """Replace every `TracedValue` in nested tuples, lists and dictionaries by its value."""
    if isinstance(value, TracedValue):
        return value.value
    if isinstance(value, dict):
        return {key: _values(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        parts = [_values(part) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    return value


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _hashable(part)) for key, part in value.items())
    # True, 1 and 1.0 are equal, but are not the same argument.
    return tuple(map(_hashable, value)) if isinstance(value, tuple | list) else (type(value), value)


def _ancestors(result: TracedValue) -> Iterator[TracedValue]:
    seen: set[int] = set()
    waiting = [result]
    while waiting:
        value = waiting.pop()
        if id(value) not in seen:
            seen.add(id(value))
            yield value
            waiting.extend((value.step.source,) if value.step else value.call.inputs if value.call else ())
