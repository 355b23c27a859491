"""Describe one call in a traced forward pass, with the Lipschitz constants of its inputs and of its output."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor


class LipschitzConstant(NamedTuple):
    """A Lipschitz constant with a note for the reader."""

    constant: float
    note: str = ""
    """Why the constant is infinite, or when it holds: a phrase that follows the name of the module or function."""


UNKNOWN = LipschitzConstant(math.inf, "is not known")


@dataclass(frozen=True)
class TracedValue:
    """A value in the forward pass of an example, and its Lipschitz constant as a function of the network's input."""

    value: Any
    constant: float
    """Zero for a value that does not depend on the input: a parameter, a size, a number."""


@dataclass(frozen=True)
class Call:
    """A call of a function or module where at least one argument depends on the network's input."""

    name: str
    """torch's name of the function, or the name of the module."""
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


def product(a: float, b: float) -> float:
    """Return a b, with infinity times zero = infinity: an unknown constant stays unknown."""
    return math.inf if math.inf in (a, b) else a * b


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
