"""A graph on the CPU: what CUDA makes of a captured piece of work, imitated operator by operator.

As on a GPU the work runs once to be recorded, and leaves no trace; each replay does the same operators again on the
same memory, with the same numbers where the host gave them, drawing on from the generators. Whatever the host decided
or computed while it recorded, or put at another address, is wrong from the second replay on. Refused is what waits for
a value, shapes that depend on values, decompositions by cuSOLVER, tensors made of numbers on the host, and draws from
generators that are not known.

Not imitated are streams, memory that a pool gives out twice, and copies of tensors that lie on the host already.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

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


class RecordedGraph:
    """`lipschitz.training.iterations.Graph` for tensors on the CPU."""

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
        # A view is the same memory at every replay; what it is of is written anew.
        if not func.is_view:
            self.calls.append((func, args, kwargs, outs))
        return outs

    def undo(self) -> None:
        """Put back what was in memory before the work was recorded."""
        for storage, before in self._before.values():
            storage.copy_(before)

    def _check(self, func: Any, args: Any, kwargs: Any) -> None:
        name = func._overloadpacket.__name__
        if name in WAITS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        if torch.Tag.nondeterministic_seeded in func.tags:
            # Torch hands on another Python object for the same generator: its state tells which it is.
            given = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Generator)]
            known = [generator.get_state() for generator in self._generators]
            if not any(torch.equal(one.get_state(), state) for one in given for state in known):
                raise RuntimeError(f"{name} draws from a generator that the graph was not told of")


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_flatten(values)[0] if isinstance(value, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
