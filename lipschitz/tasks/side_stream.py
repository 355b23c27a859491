"""A second CUDA stream, on which small work runs beside other work of a training step: forked and joined again."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class SideStream:
    """Runs work beside what the current stream does meanwhile; on a CPU the work runs at once.

    A CUDA graph that captures fork and join has two branches. The work must write to nothing that the other branch
    reads or writes, and must free no tensor of the other branch. Memory of its own is safe: the next fork waits for all
    that came before it.
    """

    def __init__(self, device: torch.device) -> None:
        # A priority has streams of its own, of which none is the stream of another run.
        self._stream = torch.cuda.Stream(device, priority=-1) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._device, self._is_forked = device, False

    @contextmanager
    def fork(self) -> Iterator[None]:
        """Run the block after all work so far on the current stream, beside the work on it until `join`."""
        self._is_forked = True
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            yield

    def join(self) -> bool:
        """Let later work on the current stream wait for the work of `fork`; say whether there was any since `join`."""
        was_forked, self._is_forked = self._is_forked, False
        if self._stream is not None and was_forked:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
        return was_forked
