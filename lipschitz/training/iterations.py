"""Making iterations of a task: one by one, or several at once as a CUDA graph that the device replays by itself."""

import math
from collections.abc import Callable
from typing import Protocol

import torch

from lipschitz.errors import first_line
from lipschitz.training.task import Task

WARM_UP = 3
"""Iterations that are made one by one before several are captured: libraries set up what no graph may hold."""
TOGETHER = 10
"""Most iterations in one graph: what a replay costs the host is shared among them."""


def together(slice_steps: int, every: int) -> int:
    """Return how many iterations, `TOGETHER` at most, fill slices that end at multiples of either number evenly."""
    whole = math.gcd(slice_steps, every)
    return max(n for n in range(1, TOGETHER + 1) if whole % n == 0)


class Iterations:
    """Makes iterations one by one; how many are made is counted on the device, where a graph finds it."""

    def __init__(self, task: Task, steps: int) -> None:
        self.task, self.steps = task, steps
        # In float64, so that the share of the run that is done is that of Python's own division.
        self._made = torch.zeros((), dtype=torch.float64, device=task.device)

    def start(self, step: int) -> None:
        """Go on from ``step`` iterations."""
        self._made.fill_(step)

    def make(self, n: int, stopping: Callable[[], bool]) -> int:
        """Make up to ``n`` iterations, none more once ``stopping`` says so; return how many were made.

        On CUDA they may still be under way when this returns.
        """
        for made in range(n):
            if stopping():
                return made
            self._one()
        return n

    def release(self) -> None:
        """Give back what the device holds for them."""

    def _one(self) -> None:
        self.task.step(self._made / self.steps)
        self._made.add_(1)


class Uncapturable(Exception):
    """Why the iterations of a task were not captured: what it says beforehand, or what was raised first meanwhile.

    A process in which a capture was broken off may not train on: some versions of torch leave the allocator as if it
    went on.
    """

    def __init__(self, reason: str, lacked_memory: bool = False) -> None:
        super().__init__(reason)
        self.lacked_memory = lacked_memory
        """Whether it was for want of memory, not for what the task does."""


class Graph(Protocol):
    """Work that is recorded once and then done again as often as it is asked for, on the same addresses."""

    def capture(self, work: Callable[[], object]) -> None:
        """Record what ``work`` does, without doing it."""

    def replay(self) -> None:
        """Do it."""

    def release(self) -> None:
        """Forget it, and give back its memory."""


class CapturedIterations(Iterations):
    """Makes iterations several at a time by replaying a graph of them, and what is left over one by one.

    The first `WARM_UP` are made one by one, as training: nothing needs to be taken back. Then one capture, which does
    nothing to the state. Between two replays the state may be read and written in place, but nothing of it may move.
    """

    def __init__(self, task: Task, steps: int, graph: Graph, together: int = TOGETHER) -> None:
        super().__init__(task, steps)
        self._graph, self._together = graph, together
        self._warm, self._captured = 0, False

    def make(self, n: int, stopping: Callable[[], bool]) -> int:
        """Make up to ``n`` iterations, see `Iterations.make`; ``stopping`` is asked before each replay.

        Raises:
            Uncapturable: the task does what no graph can hold.
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
        """Give back the graph's memory."""
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
        Uncapturable: it does what no graph can hold, or there is no room for it.
    """
    try:
        graph.capture(work)
    except Exception as error:
        # What was raised first: that a capture was broken off is what is said last.
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        # A graph that is made ready outside of torch's allocator lacks memory under another name.
        lacked_memory = isinstance(cause, torch.OutOfMemoryError) or "out of memory" in str(cause)
        raise Uncapturable(first_line(cause, with_type=True), lacked_memory) from error


def new_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return one more stream of ``device``, on which iterations can be captured; None where it has no streams."""
    return torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]


class CudaGraph:
    """A CUDA graph on a stream of its own, with a memory pool of its own.

    ``generators`` draw in it: a replay moves each of them on as the captured calls would.
    """

    def __init__(self, stream: torch.cuda.Stream, generators: list[torch.Generator]) -> None:
        self._stream = stream
        self._graph = torch.cuda.CUDAGraph()
        for generator in generators:
            self._graph.register_generator_state(generator)

    def capture(self, work: Callable[[], object]) -> None:
        """Record what ``work`` launches; whatever else the device is doing is waited for."""
        # Other threads, such as those that pin memory for streamed images, may go on.
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            work()

    def replay(self) -> None:
        """Launch it on the current stream, which must be its own, after what is there already."""
        self._graph.replay()

    def release(self) -> None:
        """Give back its memory, once the device is done with it."""
        self._stream.synchronize()
        self._graph.reset()


def iterations_of(task: Task, steps: int, stream: torch.cuda.Stream | None, together: int = TOGETHER) -> Iterations:
    """Return what makes the iterations of ``task``: captured on ``stream``, if there is one and nothing forbids it."""
    if stream is None or task.why_uncaptured() is not None:
        return Iterations(task, steps)
    return CapturedIterations(task, steps, CudaGraph(stream, list(task.random_streams())), together)
