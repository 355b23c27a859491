"""Read the affine maps between the activations of a network off one forward pass.

The network runs on a batch of points in general position: zero, the unit vectors of its input, and one more for each
neuron. Affine maps commute with affine combinations, so the rows that reach an activation are the affine map before it.
An activation returns zero in every row but one for each neuron: its output is an independent variable from there on.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.errors import first_line
from lipschitz.estimation.exact.activations import ACTIVATIONS, SortedValues
from lipschitz.estimation.exact.rectified_stages import Floats, RectifiedStages, from_sources

MAX_NEURONS = 1024
"""Most neurons of a network that is read; a maximum or a sort has one for each comparison of two channels."""

READING = frozenset(["get", "size", "dim", "ndimension", "numel", "len", "is_floating_point", "is_complex"])
"""Functions that read a tensor's attributes, shape or type; as below, without leading and trailing underscores."""
LINEAR = frozenset(
    [
        *("add", "radd", "iadd", "sub", "rsub", "isub", "subtract", "neg", "negative", "pos", "positive"),
        *("sum", "mean", "cumsum", "diff", "cat", "concat", "concatenate", "stack", "hstack", "vstack"),
        *("flatten", "unflatten", "reshape", "reshape_as", "view", "view_as", "squeeze", "unsqueeze"),
        *("transpose", "permute", "movedim", "swapaxes", "t", "contiguous", "clone", "detach", "requires_grad"),
        *("to", "double", "cpu", "type_as", "getitem", "select", "narrow", "chunk", "split", "tensor_split"),
        *("unbind", "index_select", "gather", "flip", "roll", "expand", "expand_as", "repeat"),
        *("repeat_interleave", "pad", "dropout", "dropout1d", "dropout2d", "alpha_dropout", "avg_pool1d"),
        *("avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d"),
    ]
)
"""Functions that are affine in all the tensors they take together; dropout in eval mode."""
LINEAR_IN_ONE = frozenset(
    [
        *("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("batch_norm", "mul", "rmul", "imul", "multiply", "matmul", "rmatmul", "mm", "bmm", "addmm"),
        *("baddbmm", "einsum", "tensordot"),
    ]
)
"""Functions that are affine in one tensor where the others are constant; batch normalization in eval mode."""
DIVISIONS = frozenset(["div", "truediv", "itruediv", "divide", "true_divide"])
"""Functions that are affine in their first argument where the second is constant."""


class Unreadable(ValueError):
    """The network cannot be written as affine maps and activations with kinks; the message says why."""


def read_stages(net: nn.Module, shape: tuple[int, ...]) -> RectifiedStages:
    """Return ``net`` as affine maps and two-slope activations.

    Args:
        net: in float64 and eval mode, on the CPU; it does not mix samples.
        shape: of one sample.

    Raises:
        Unreadable: it uses a function that is not known as affine or as an activation with kinks, its forward
            pass fails, or it has too many neurons.
    """
    inputs = int(np.prod(shape))
    neurons = sum(len(preactivation[0]) for preactivation, *_ in _Trace(net, shape, 0).stages)
    if neurons > MAX_NEURONS:
        raise Unreadable(f"it has {neurons} neurons and comparisons of channels; allowed: at most {MAX_NEURONS}")
    trace = _Trace(net, shape, neurons)
    stages, before = [], inputs
    for rows, negative, positive in trace.stages:
        weight, bias = _affine_map(rows, before)
        stages.append((weight, bias, negative, positive))
        before += len(bias)
    return from_sources(inputs, stages, *_affine_map(trace.output, before))


def _affine_map(rows: Floats, sources: int) -> tuple[Floats, Floats]:
    """Return weight ``(m, sources)`` and bias ``(m,)`` of an affine map from its values at zero and at the units."""
    return (rows[1 : sources + 1] - rows[0]).T, rows[0]


class _Trace:
    """One forward pass of a network on ``1 + inputs + neurons`` rows."""

    def __init__(self, net: nn.Module, shape: tuple[int, ...], neurons: int) -> None:
        self.stages: list[tuple[Floats, Floats, Floats]] = []
        """Rows of pre-activations ``(rows, m)``, negative and positive slopes ``(m,)``."""
        inputs = int(np.prod(shape))
        self._neurons, self._used = neurons, 1 + inputs
        batch = torch.zeros(1 + inputs + neurons, inputs, dtype=torch.float64)
        batch[1 : inputs + 1] = torch.eye(inputs, dtype=torch.float64)
        trace = self

        class Traced(Tensor):
            """A value of the forward pass that depends on the input."""

            @classmethod
            def __torch_function__(
                cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
            ) -> Any:
                return trace._call(func, args, kwargs or {})

        self._kind = Traced
        try:
            with torch.no_grad():
                output = net(batch.reshape(-1, *shape).as_subclass(Traced))
        except Unreadable:
            raise
        except Exception as error:  # A forward pass may raise any error on a tensor of another class.
            raise Unreadable(f"its forward pass cannot be read: {first_line(error)}") from None
        with torch._C.DisableTorchFunctionSubclass():
            if not isinstance(output, Traced) or output.shape[:1] != batch.shape[:1]:
                raise Unreadable("it does not return one tensor with a row for each sample")
            self.output: Floats = output.detach().reshape(len(batch), -1).numpy()

    def _call(self, function: Callable[..., Any], arguments: Any, keywords: dict[str, Any]) -> Any:
        name = getattr(function, "__name__", str(function))
        with torch._C.DisableTorchFunctionSubclass():
            if name in ACTIVATIONS:
                return self._marked(ACTIVATIONS[name](self._emit, *arguments, **keywords))
            self._check_affine(name.strip("_"), arguments, tuple(keywords.values()))
            return self._marked(function(*arguments, **keywords))

    def _check_affine(self, name: str, arguments: Any, others: Any) -> None:
        is_affine = (
            name in READING
            or name in LINEAR
            or (name in LINEAR_IN_ONE and self._traced(arguments) + self._traced(others) == 1)
            or (name in DIVISIONS and self._traced(arguments[1:]) + self._traced(others) == 0)
        )
        if not is_affine:
            raise Unreadable(f"not piecewise linear: it uses torch's {name}")

    def _traced(self, value: Any) -> int:
        if isinstance(value, tuple | list):
            return sum(map(self._traced, value))
        return isinstance(value, self._kind)

    def _marked(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.as_subclass(self._kind)
        if isinstance(value, SortedValues):
            return value._replace(values=self._marked(value.values))
        return tuple(map(self._marked, value)) if type(value) in (tuple, list) else value

    def _emit(self, x: Tensor, negative: Tensor, positive: Tensor) -> Tensor:
        """Record neurons with two slopes, each broadcast over ``x`` ``(rows, ...)``; return their outputs."""
        rows = x.reshape(len(x), -1)
        slopes = [slope.detach().double().expand(x.shape[1:]).flatten().numpy() for slope in (negative, positive)]
        self.stages.append((rows.detach().numpy().copy(), slopes[0], slopes[1]))
        outputs = torch.zeros_like(rows)
        if self._neurons:
            outputs[self._used : self._used + rows.shape[1]] = torch.eye(rows.shape[1], dtype=rows.dtype)
            self._used += rows.shape[1]
        return outputs.reshape(x.shape)
