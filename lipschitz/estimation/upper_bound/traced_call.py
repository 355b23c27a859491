"""Records of a traced forward pass: its values, its calls of operators, and the Lipschitz constants of both."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.polyphase import Kernel


class Slopes(NamedTuple):
    """An interval that holds every difference quotient of an elementwise function, in every entry."""

    low: float
    high: float

    @property
    def constant(self) -> float:
        """The Lipschitz constant that follows."""
        return max(abs(self.low), abs(self.high))

    def hull(self, *others: "Slopes") -> "Slopes":
        """Return the smallest interval that holds this one and ``others``."""
        return Slopes(min(self.low, *(s.low for s in others)), max(self.high, *(s.high for s in others)))

    def after(self, inner: "Slopes") -> "Slopes":
        """Return the slopes of f(g(x)), where f has these slopes and g the slopes ``inner``."""
        products = [a * b for a in self for b in inner]
        return Slopes(min(products), max(products))


class LinearMap(NamedTuple):
    """An affine map; its linear part is x -> ``apply(x)`` - ``apply(0)``."""

    apply: Callable[[Tensor], Any]
    kernel: Kernel | None = None
    """For a linear layer or a convolution, its weight and arguments."""
    padding: tuple[str, tuple[int, ...]] | None = None
    """For circular, reflect or replicate padding, the mode and torch's list of sizes."""


class LipschitzConstant(NamedTuple):
    """The Lipschitz constant of a call's output as a function of the network's input."""

    constant: float
    note: str = ""
    """Why the constant is infinite, or when it holds: a phrase that follows the name of the operator."""
    slopes: Slopes | None = None
    """Of an elementwise function of the call's only input."""
    linear: LinearMap | None = None
    """Of an affine function of the call's only input."""


UNKNOWN = LipschitzConstant(math.inf, "is not known")


class Step(NamedTuple):
    """A value as an elementwise or an affine function of one earlier value; both are given if it is both."""

    source: "TracedValue"
    slopes: Slopes | None = None
    linear: LinearMap | None = None
    norm: float = math.inf
    """Upper bound of the step's own Lipschitz constant, for an affine one."""


@dataclass(frozen=True, eq=False)
class TracedValue:
    """A value in the forward pass of an example, and its Lipschitz constant as a function of the network's input."""

    value: Any
    constant: float
    """Zero for a value that does not depend on the input: a parameter, a size, a number."""
    step: Step | None = None
    """How it follows from one earlier value; None for the input, and for functions of other kinds."""
    call: "Call | None" = None
    """The call that returned it; None for the input and for values that do not depend on it."""


@dataclass(frozen=True, eq=False)
class Call:
    """A call of an operator where at least one argument depends on the network's input."""

    name: str
    """The operator's name, such as ``conv2d``: without its namespace and overload, and without a final underscore."""
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    """Positional arguments, as values. The input of a unary function comes first."""
    keywords: dict[str, Any]
    inputs: tuple[TracedValue, ...]
    """The arguments that depend on the network's input; one that is passed twice is listed twice."""
    output: Any

    @property
    def input(self) -> Tensor:
        """The first argument of a unary call."""
        value: Tensor = self.arguments[0]
        return value

    def is_unary(self) -> bool:
        """Say whether exactly one argument depends on the network's input, and that is the first one, a tensor."""
        return (
            len(self.inputs) == 1
            and bool(self.arguments)
            and isinstance(self.inputs[0].value, Tensor)
            and self.arguments[0] is self.inputs[0].value
        )

    def times_input_constant(self, factor: float) -> float:
        """Return ``factor`` times the constant of the first input; infinity if either is infinite."""
        return product(factor, self.inputs[0].constant)

    def elementwise(self, slopes: Slopes) -> LipschitzConstant:
        """Return the constant of an elementwise function of the only input with these slopes."""
        if not math.isfinite(slopes.constant):
            return UNKNOWN
        return LipschitzConstant(self.times_input_constant(slopes.constant), slopes=slopes)

    def affine(
        self, norm: float, linear: LinearMap | None = None, note: str = "", slopes: Slopes | None = None
    ) -> LipschitzConstant:
        """Return the constant of an affine function of the only input, whose linear part has at most this norm."""
        if not math.isfinite(norm):
            return LipschitzConstant(math.inf, note or "is not known")
        linear = linear or LinearMap(self.of_input)
        return LipschitzConstant(self.times_input_constant(norm), note, slopes, linear)

    def of_input(self, x: Any) -> Any:
        """Apply the operator with ``x`` in the place of the only input."""
        return self.with_values({id(self.inputs[0].value): x})

    def with_values(self, values: Mapping[int, Any]) -> Any:
        """Apply the operator with other values in the place of some arguments, by the id of the old value.

        Tensors are copied, since the operator may change them.
        """

        def new(value: Any) -> Any:
            if id(value) in values:
                found = values[id(value)]
                return found.clone() if isinstance(found, Tensor) else found
            return [new(part) for part in value] if isinstance(value, tuple | list) else value

        return self.function(*map(new, self.arguments), **{key: new(value) for key, value in self.keywords.items()})


def product(a: float, b: float) -> float:
    """Return a b; infinity times zero is infinity: an unknown constant stays unknown. It is zero only if a or b is."""
    if math.inf in (a, b):
        return math.inf
    return a * b or (math.ulp(0.0) if a and b else 0.0)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)


def why_not_real(output: Tensor) -> str:
    """Return why a function with such outputs is not continuous, or not real; empty for float32 and float64."""
    if output.is_complex():
        return "returns complex numbers"
    if output.is_floating_point():
        return "" if output.dtype in (torch.float32, torch.float64) else "rounds to few digits"
    kind = "truth values" if output.dtype == torch.bool else "integers"
    return f"returns {kind}, so it is discontinuous"
