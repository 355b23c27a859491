"""One step of a network's forward pass, as the rules of composition see it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor


class Factor(NamedTuple):
    """A Lipschitz constant, and what a reader must know about it: why it is infinite, or under what it holds."""

    constant: float
    note: str = ""


UNKNOWN = Factor(math.inf, "is not known")


@dataclass(frozen=True)
class Traced:
    """A value of the forward pass on an example, and a Lipschitz constant of it as a function of the input."""

    value: Any
    constant: float
    """Zero of what does not depend on the input: parameters, sizes, numbers."""


@dataclass(frozen=True)
class Call:
    """A function or module applied to values of which at least one depends on the input."""

    name: str
    """torch's name of the function, or the module's name."""
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    """As values; the input of a unary function comes first."""
    keywords: dict[str, Any]
    inputs: tuple[Traced, ...]
    """Those that depend on the input, as often as they occur."""
    output: Any

    @property
    def input(self) -> Tensor:
        """The only tensor that depends on the input, where it comes first."""
        value: Tensor = self.arguments[0]
        return value

    def unary(self) -> bool:
        """Say whether one tensor, the first argument, is all that depends on the network's input."""
        return (
            len(self.inputs) == 1
            and bool(self.arguments)
            and isinstance(self.inputs[0].value, Tensor)
            and self.arguments[0] is self.inputs[0].value
        )

    def times(self, factor: float) -> float:
        """Return ``factor`` times the constant of the one input; infinity whatever it multiplies."""
        return product(factor, self.inputs[0].constant)


def product(a: float, b: float) -> float:
    """Return a b, where infinity times zero is infinity: nothing is known."""
    return math.inf if math.inf in (a, b) else a * b


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors(part)
