"""Record a scalar of a training step under a name of your own: ``observe("penalty", value)``.

A constraint, a model or a task may call `observe` anywhere in a step. The value stays on the device: there is no host
synchronisation, and a CUDA graph can capture the call. Each evaluation records the mean of the last `LENGTH` values
under the name. Outside a training step, as in an evaluation, the call does nothing.
"""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

LENGTH = 50
"""Values that a ring keeps: a recorded mean is over these."""


class Ring:
    """A ring buffer of the last ``length`` values of a scalar, float32, on the device.

    Its memory and its write position are tensors that never move, so that a replayed CUDA graph writes on where the
    buffer stands.
    """

    def __init__(self, length: int, device: torch.device) -> None:
        self._values = torch.zeros(length, device=device)
        self._written = torch.zeros(1, dtype=torch.int64, device=device)

    def write(self, value: Tensor) -> None:
        """Replace the oldest value by ``value``, a scalar."""
        self._values.index_copy_(0, self._written.remainder(len(self._values)), value.detach().reshape(1).float())
        self._written.add_(1)

    @property
    def last(self) -> Tensor:
        """The newest value, a scalar; zero before the first."""
        return self._values.index_select(0, (self._written - 1).remainder(len(self._values)))[0]

    def is_written(self) -> bool:
        """Return whether there is a value. Waits for the device."""
        return bool(self._written)

    def mean(self) -> float:
        """Return the mean of the values; NaN before the first. Waits for the device."""
        kept = min(int(self._written), len(self._values))
        return float(self._values.sum()) / kept if kept else math.nan

    def tensors(self) -> list[Tensor]:
        """Return the tensors that are finite exactly if all values are."""
        return [self._values]

    def clear(self) -> None:
        """Forget all values, in place."""
        self._values.zero_()
        self._written.zero_()

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of the values and of the number of writes."""
        return {"values": self._values.clone(), "written": self._written.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned, in place."""
        self._values.copy_(state["values"])
        self._written.copy_(state["written"])


class NamedRings:
    """The scalars that the steps of one task observe: a ring a name, made at the first write.

    Args:
        device: where the task trains.
        reserved: names that `observe` refuses, also with a suffix after a slash.
    """

    def __init__(self, device: torch.device, reserved: Collection[str] = ()) -> None:
        self._device, self._reserved = device, reserved
        self._rings: dict[str, Ring] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Make `observe` write to these rings in the block, which is a training step or a part of one."""
        global _current
        before, _current = _current, self
        try:
            yield
        finally:
            _current = before

    def write(self, name: str, value: Tensor) -> None:
        """Write ``value`` to the ring called ``name``, see `observe`."""
        if not isinstance(value, Tensor) or value.numel() != 1 or value.device.type != self._device.type:
            raise TypeError(
                f"observe({name!r}): expected a tensor of one element on {self._device}, got {_described(value)}"
            )
        if name not in self._rings:
            self._rings[name] = self._new_ring(name)
        self._rings[name].write(value)

    def means(self) -> dict[str, float]:
        """Return the mean of the last `LENGTH` values by name, NaN where one of them is. Waits for the device."""
        return {name: ring.mean() for name, ring in self._rings.items() if ring.is_written()}

    def state_dict(self) -> dict[str, dict[str, dict[str, Tensor]]]:
        """Return a copy of all rings under the key ``observed``; an empty dict if nothing was observed."""
        rings = {name: ring.state_dict() for name, ring in self._rings.items()}
        return {"observed": rings} if rings else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore, in place, what `state_dict` returned; other keys of ``state`` are ignored."""
        for ring in self._rings.values():
            ring.clear()
        for name, values in state.get("observed", {}).items():
            self._rings.setdefault(name, Ring(LENGTH, self._device)).load_state_dict(values)

    def _new_ring(self, name: str) -> Ring:
        if name.partition("/")[0] in self._reserved:
            raise ValueError(f"observe({name!r}): that is the name of a metric of lipschitz; choose another name")
        if _capturing:
            raise RuntimeError(
                f"observe({name!r}) was first called in a step that a CUDA graph captures; call it in every step"
            )
        return Ring(LENGTH, self._device)


_current: NamedRings | None = None
_capturing = False


def observe(name: str, value: Tensor) -> None:
    """Record ``value`` under ``name`` if a training step is under way; otherwise do nothing.

    Args:
        name: of the recorded metric; no name of a metric of lipschitz.
        value: a tensor of one element on the task's device, of any floating dtype, kept as float32 without its graph.

    Raises:
        TypeError: ``value`` is no such tensor. A Python number is refused, because a CUDA graph would repeat it.
        ValueError: the name is that of a metric of lipschitz.
        RuntimeError: the first call with this name is in a step that a CUDA graph captures.
    """
    if _current is not None:
        _current.write(name, value)


def is_capturing() -> bool:
    """Say whether work is being captured, for a graph that replays it: the host must decide nothing by its values."""
    return _capturing


@contextmanager
def capturing() -> Iterator[None]:
    """Refuse names that are new in the block, in which a CUDA graph is captured: their memory would be the graph's."""
    global _capturing
    before, _capturing = _capturing, True
    try:
        yield
    finally:
        _capturing = before


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)} on {value.device}"
    return type(value).__name__
