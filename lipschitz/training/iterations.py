"""Training iterations of a task: launched one by one, or several at once by replaying a CUDA graph."""

import math
from collections.abc import Callable
from typing import Protocol

import torch

from lipschitz.errors import first_line
from lipschitz.observe import capturing
from lipschitz.out_of_memory import lacks_memory
from lipschitz.training.task import Task

WARM_UP = 3
"""Iterations that are launched one by one before a capture: libraries make allocations that no graph can hold."""
TOGETHER = 10
"""Maximum iterations per CUDA graph; more per graph means fewer launches."""


def together(slice_steps: int, every: int) -> int:
    """Return the most iterations, up to `TOGETHER`, that divide both ``slice_steps`` and ``every``."""
    whole = math.gcd(slice_steps, every)
    return max(n for n in range(1, TOGETHER + 1) if whole % n == 0)


class Iterations:
    """Launches iterations one by one; counts them on the device, so that a CUDA graph can read the count."""

    def __init__(self, task: Task, steps: int) -> None:
        self.task, self.steps = task, steps
        # In float64, so that the progress equals that of Python's division.
        self._made = torch.zeros((), dtype=torch.float64, device=task.device)

    def start(self, step: int) -> None:
        """Set the number of iterations made so far."""
        self._made.fill_(step)

    def make(self, n: int, stopping: Callable[[], bool]) -> int:
        """Make up to ``n`` iterations, until ``stopping`` returns True; return how many were made.

        On CUDA the device may still be at work on them.
        """
        for made in range(n):
            if stopping():
                return made
            self._one()
        return n

    def release(self) -> None:
        """Free the device memory that is held for them."""

    def _one(self) -> None:
        self.task.step(self._made / self.steps)
        self._made.add_(1)


class Uncapturable(Exception):
    """Why the iterations of a task were not captured: the task's own reason, or the first error of the capture.

    After a failed capture the process must not train on: some versions of torch leave the allocator in capture mode.
    """

    def __init__(self, reason: str, lacked_memory: bool = False) -> None:
        super().__init__(reason)
        self.lacked_memory = lacked_memory
        """Whether the cause is a lack of memory, not what the task does."""


class Graph(Protocol):
    """Work that is recorded once and replayed on the same memory."""

    def capture(self, work: Callable[[], object]) -> None:
        """Record what ``work`` does, without executing it."""

    def replay(self) -> None:
        """Execute the recorded work."""

    def release(self) -> None:
        """Free the recorded work and its memory."""


class CapturedIterations(Iterations):
    """Replays a graph of several iterations; launches the rest one by one.

    The first `WARM_UP` are launched one by one. They are part of the training, so nothing has to be undone. The capture
    that follows does not change the state. Between two replays the state may be read, and written in place; no tensor
    of it may move.
    """

    def __init__(self, task: Task, steps: int, graph: Graph, together: int = TOGETHER) -> None:
        super().__init__(task, steps)
        self._graph, self._together = graph, together
        self._warm, self._captured = 0, False

    def make(self, n: int, stopping: Callable[[], bool]) -> int:
        """Make up to ``n`` iterations, see `Iterations.make`; ``stopping`` is asked before each replay.

        Raises:
            Uncapturable: a CUDA graph cannot capture the task.
        """
        made = 0
        while made < n and not stopping():
            if self._warm < WARM_UP or n - made < self._together:
                self._one()
                self._warm += 1
                made += 1
                continue
            if not self._captured:
                self._capture()
            self._graph.replay()
            made += self._together
        return made

    def release(self) -> None:
        """Free the graph's memory."""
        if self._captured:
            self._graph.release()

    def _capture(self) -> None:
        capture(self._graph, self._several)
        self._captured = True

    def _several(self) -> None:
        for _ in range(self._together):
            self._one()


def capture(graph: Graph, work: Callable[[], object]) -> None:
    """Capture ``work`` in ``graph``.

    Raises:
        Uncapturable: a CUDA graph cannot capture it, or there is not enough memory.
    """
    try:
        with capturing():
            graph.capture(work)
    except Exception as error:
        # The first error is the cause; the last one only says that the capture failed.
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        raise Uncapturable(first_line(cause, with_type=True), lacks_memory(error)) from error


def new_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return a new CUDA stream of ``device``, on which iterations can be captured; None on another kind of device."""
    return torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]


class CudaGraph:
    """A CUDA graph on ``stream``.

    Each replay advances ``generators``, from which the captured work draws, as the work itself would. Its memory is
    that of the captured graph ``like``, if there is one; these two must never run at the same time.
    """

    def __init__(
        self, stream: torch.cuda.Stream, generators: list[torch.Generator], like: "CudaGraph | None" = None
    ) -> None:
        self._stream, self._like = stream, like
        self._graph = torch.cuda.CUDAGraph()
        for generator in generators:
            self._graph.register_generator_state(generator)

    def capture(self, work: Callable[[], object]) -> None:
        """Record what ``work`` launches, after the device has finished all other work."""
        # Other threads, such as those that pin memory for streamed images, may continue.
        pool = None if self._like is None else self._like._graph.pool()
        with torch.cuda.graph(self._graph, pool, stream=self._stream, capture_error_mode="thread_local"):
            work()

    def replay(self) -> None:
        """Launch the recorded work on the current stream, which must be the graph's."""
        self._graph.replay()

    def release(self) -> None:
        """Free its memory when the device has finished with it."""
        self._stream.synchronize()
        self._graph.reset()


def iterations_of(task: Task, steps: int, stream: torch.cuda.Stream | None, together: int = TOGETHER) -> Iterations:
    """Return the iterations of ``task``: captured on ``stream`` if there is one and the task can be captured."""
    if stream is None or task.uncapturable_reason() is not None:
        return Iterations(task, steps)
    return CapturedIterations(task, steps, CudaGraph(stream, list(task.random_streams())), together)
