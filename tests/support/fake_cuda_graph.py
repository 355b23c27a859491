"""An imitation of a CUDA graph on the CPU, which records and replays ATen operators.

As on a GPU, recording runs the work once and undoes its effects. Each replay runs the same operators on the same memory
and draws further from the generators. Numbers that the host computed while recording stay the same in every replay.
Therefore work that depends on a decision of the host, or on a tensor at another address, is wrong from the second
replay on.

Recording refuses operators that wait for a value, shapes that depend on values, decompositions by cuSOLVER, tensors
made of host numbers, and draws from unknown generators. Streams, reuse of memory by a pool, and copies of tensors on
the host are not imitated.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = {
    "_local_scalar_dense",
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "_unique2",
    "_linalg_check_errors",
    "_linalg_svd",
    "_linalg_eigh",
    "linalg_eigh",
    "linalg_eig",
    "linalg_lstsq",
    "linalg_qr",
    "repeat_interleave",
    "bincount",
    "lift_fresh",
}


class FakeCudaGraph:
    """Replaces `lipschitz.training.iterations.Graph` for tensors on the CPU."""

    def __init__(self, generators: Iterable[torch.Generator]) -> None:
        self._generators = list(generators)
        self._tape = _Tape(self._generators)

    def capture(self, work: Callable[[], None]) -> None:
        states = [generator.get_state() for generator in self._generators]
        with self._tape:
            work()
        self._tape.undo()
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, outs in self._tape.calls:
            again = func(*args, **kwargs)
            for out, new in zip(_tensors(outs), _tensors(again), strict=True):
                if _memory(out) != _memory(new):
                    out.copy_(new)

    def release(self) -> None:
        self._tape.calls.clear()


class _Tape(TorchDispatchMode):
    def __init__(self, generators: list[torch.Generator]) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self._generators = generators
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._made: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._check(func, args, kwargs)
        inputs = _tensors((args, kwargs))
        for tensor in inputs:
            if (place := _memory(tensor)) not in self._made and place not in self._before:
                storage = tensor.untyped_storage()
                self._before[place] = (storage, storage.clone())
        outs = func(*args, **kwargs)
        shared = {_memory(tensor) for tensor in inputs}
        self._made.update(_memory(out) for out in _tensors(outs) if _memory(out) not in shared)
        # A view needs no replay: its memory is the same, and its base is written by another operator.
        if not func.is_view:
            self.calls.append((func, args, kwargs, outs))
        return outs

    def undo(self) -> None:
        """Restore the memory from before the recording."""
        for storage, before in self._before.values():
            storage.copy_(before)

    def _check(self, func: Any, args: Any, kwargs: Any) -> None:
        name = func._overloadpacket.__name__
        if name in WAITS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        if torch.Tag.nondeterministic_seeded in func.tags:
            # Torch passes another Python object for the same generator, so generators are compared by state.
            given = [value for value in _leaves((args, kwargs)) if isinstance(value, torch.Generator)]
            known = [generator.get_state() for generator in self._generators]
            if not any(torch.equal(one.get_state(), state) for one in given for state in known):
                raise RuntimeError(f"{name} draws from an unknown generator")


def _leaves(values: Any) -> Iterator[Any]:
    """Yield what an operator's arguments or results hold; several times faster than torch's tree_flatten."""
    if isinstance(values, tuple | list):
        for value in values:
            yield from _leaves(value)
    elif isinstance(values, dict):
        yield from _leaves(list(values.values()))
    else:
        yield values


def _tensors(values: Any) -> list[Tensor]:
    return [values] if isinstance(values, Tensor) else [one for one in _leaves(values) if isinstance(one, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
