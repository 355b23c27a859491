"""Count the floating-point operations, ATen calls and peak memory of a call: numbers that no clock changes."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class OperationCounts(NamedTuple):
    """Counts of one call. They do not depend on the speed of the machine."""

    gflop: float
    """10⁹ floating-point operations of convolutions and matrix products, additions included, FFTs not included."""
    aten_calls: int
    """Operators that run on the device. On a GPU without CUDA graphs each is a kernel launch."""
    peak_mib: float
    """Largest memory that the call holds beyond what was held before it, in MiB."""


def _matrix_vector(matrix: Tensor, *_: Any, **__: Any) -> int:
    return 2 * matrix.numel()


_FORMULAS = {**flop_registry, torch.ops.aten.mv: _matrix_vector}


_EMPTY = {torch.ops.aten.empty, torch.ops.aten.empty_like, torch.ops.aten.empty_strided, torch.ops.aten.new_empty}
"""Calls that allocate memory and launch no kernel."""


class _Counter(TorchDispatchMode):
    """Counts by torch's own formulas. Its `FlopCounterMode` also tracks modules, and fails on a double backward."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.flops = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **kwargs or {})
        self.calls += not (func.is_view or func._overloadpacket in _EMPTY)
        formula = _FORMULAS.get(func._overloadpacket)
        if formula is not None:
            # A complex product is four real products and as many additions.
            factor = 4 if any(isinstance(value, Tensor) and value.is_complex() for value in args) else 1
            self.flops += factor * formula(*args, **kwargs or {}, out_val=out)
        return out


def count_gflop(call: Callable[[], object]) -> float:
    """Return `OperationCounts.gflop` of ``call``, which is called once."""
    with _Counter() as counter:
        call()
    return counter.flops / 1e9


def count_operations(call: Callable[[], object]) -> OperationCounts:
    """Count the operations of ``call``, which is called three times. The first call is a warm-up."""
    call()
    with _Counter() as counter:
        call()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    return OperationCounts(counter.flops / 1e9, counter.calls, _peak_bytes(profiler) / 2**20)


def _peak_bytes(profiler: profile) -> int:
    """Return the largest running sum of allocated and freed bytes."""
    assert profiler.profiler is not None
    assert profiler.profiler.kineto_results is not None
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    ordered = sorted(events, key=lambda event: event.start_ns())
    return max(accumulate((event.nbytes() for event in ordered), initial=0))
