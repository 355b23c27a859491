"""What a call does whatever the clock says: floating-point operations, ATen calls, and memory."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Operations(NamedTuple):
    """Counts of one call; they do not depend on the machine's speed."""

    gflop: float
    """10⁹ floating-point operations of convolutions and products with a matrix, additions counted; FFTs are not."""
    aten_calls: int
    """Operators that reach the device: on a GPU that runs them one by one, launches."""
    peak_mib: float
    """Largest memory that the call holds beyond what was held before it, in MiB."""


def _matrix_vector(matrix: Tensor, *_: Any, **__: Any) -> int:
    return 2 * matrix.numel()


_FORMULAS = {**flop_registry, torch.ops.aten.mv: _matrix_vector}


_EMPTY = {torch.ops.aten.empty, torch.ops.aten.empty_like, torch.ops.aten.empty_strided, torch.ops.aten.new_empty}
"""Calls that allocate and launch nothing."""


class _Counter(TorchDispatchMode):
    """Counts by torch's own formulas. Its `FlopCounterMode` also tracks modules, which a double backward breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.flops = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **kwargs or {})
        self.calls += not (func.is_view or func._overloadpacket in _EMPTY)
        formula = _FORMULAS.get(func._overloadpacket)
        if formula is not None:
            # A complex product is four real ones, and as many additions.
            factor = 4 if any(isinstance(value, Tensor) and value.is_complex() for value in args) else 1
            self.flops += factor * formula(*args, **kwargs or {}, out_val=out)
        return out


def gflop(call: Callable[[], object]) -> float:
    """Return the 10⁹ floating-point operations of ``call``, see `Operations.gflop`; it is made once."""
    with _Counter() as counter:
        call()
    return counter.flops / 1e9


def counted(call: Callable[[], object]) -> Operations:
    """Count what ``call`` does; it is made three times, the first to warm up."""
    call()
    with _Counter() as counter:
        call()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    return Operations(counter.flops / 1e9, counter.calls, _peak(profiler) / 2**20)


def _peak(profiler: profile) -> int:
    """Return the largest running sum of what was allocated and freed."""
    assert profiler.profiler is not None
    assert profiler.profiler.kineto_results is not None
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    ordered = sorted(events, key=lambda event: event.start_ns())
    return max(accumulate((event.nbytes() for event in ordered), initial=0))
