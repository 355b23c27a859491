"""A second CUDA stream, on which small work runs beside other work of a training step: forked and joined again."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import torch
from torch import Tensor

Branch = Literal["alone", "beside", "meanwhile"]
"""Where work runs: on the side stream, on the current stream between fork and join, or on that at another time."""

_notified: ContextVar[Callable[[Branch], object] | None] = ContextVar("notified", default=None)


class SideStream:
    """Runs work beside what the current stream does meanwhile; on a CPU the work runs at once.

    A CUDA graph that captures fork and join has two branches. The work must write to nothing that the other branch
    reads or writes, must free no tensor of the other branch, and must record nothing for a backward pass, which would
    run on this stream. Its results must be tensors that exist before the fork, written in place. Then no order of the
    device can change a number:

    - What the work reads was written before the fork, and the fork waits for all that came before it.
    - What it writes is read after the join, which waits for all the work, and is written again after the next fork,
      which waits for these readers.
    - Memory that the work allocates and frees is the side stream's. The allocator gives it to that stream alone, in
      whose order it is used. As no result lies in it, no other stream ever reads it.
    - Where the step fails between fork and join, its tensors may be freed while the work still runs. For those named to
      `keep` the allocator waits for the side stream before it gives their memory to others.

    A capture turns these waits into edges of the graph, and refuses a fork without a join. A replay is one unit on its
    stream, so it also waits for the work of the replay before it.
    """

    def __init__(self, device: torch.device) -> None:
        # A priority has streams of its own, of which none is the stream of another run.
        self._stream = torch.cuda.Stream(device, priority=-1) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._device, self._is_forked = device, False

    def keep(self, tensors: Iterable[Tensor]) -> None:
        """Name the tensors of the current stream that the work of `fork` reads or writes, before any of it."""
        if self._stream is not None:
            for tensor in tensors:
                if tensor.is_cuda:
                    tensor.record_stream(self._stream)

    @contextmanager
    def fork(self) -> Iterator[None]:
        """Run the block after all work so far on the current stream, beside the work on it until `join`."""
        self._is_forked = True
        _notify("beside")
        if self._stream is None:
            yield
        else:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._stream):
                yield
        _notify("meanwhile")

    def join(self) -> bool:
        """Let later work on the current stream wait for the work of `fork`; say whether there was any since `join`."""
        was_forked, self._is_forked = self._is_forked, False
        if self._stream is not None and was_forked:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
        _notify("alone")
        return was_forked


@contextmanager
def notified(callback: Callable[[Branch], object]) -> Iterator[None]:
    """Call ``callback`` in the block whenever the work that follows runs on another branch, on every kind of device."""
    token = _notified.set(callback)
    try:
        yield
    finally:
        _notified.reset(token)


def _notify(branch: Branch) -> None:
    if callback := _notified.get():
        callback(branch)
