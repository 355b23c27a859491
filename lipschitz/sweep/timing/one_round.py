"""One round of the timing pass: time the configurations of a group in turn, in one process, alone on the device."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import torch

from lipschitz.datasets.base import Data
from lipschitz.datasets.transport.pair_data import PairData
from lipschitz.global_state import GlobalState
from lipschitz.out_of_memory import lacks_memory
from lipschitz.sweep.engine.job import Job
from lipschitz.training.clock import milliseconds, synchronize
from lipschitz.training.iterations import TOGETHER, CudaGraph, capture, new_stream
from lipschitz.training.task import Task

WARM_UP, REPEATS = 3, 15
"""In one round, calls of each part of an iteration before it is timed, and calls that are timed."""

Round = dict[str, Any]
"""What one round measured of a configuration: ``calls`` in ms by the name of the part, ``captured``, the same of its
captured parts, and on CUDA ``peak_memory`` in MiB."""
Calls = dict[str, Callable[[], None]]
"""By the name of the part."""
LACKED_MEMORY = "lacked_memory"
_ANYTHING = (Exception, SystemExit)
"""What a user's method can raise; the other methods are timed all the same."""


def time_round(
    captured: Collection[str], jobs: Sequence[Job], _: Job, answer: Callable[[dict[str, Any]], None]
) -> None:
    """Time one iteration of each of ``jobs``; give the round of each configuration to ``answer``, as ``rounds``.

    The configurations in ``captured`` are timed as CUDA graphs, too. Before each configuration makes its first
    iterations its name is given to ``answer``, as ``at``, and None when all have made them. Where there is no memory
    for all of them at once, the answer is `LACKED_MEMORY`.
    """
    try:
        rounds = measure_round(
            jobs, warm_up=WARM_UP, repeats=REPEATS, captured=captured, began=lambda name: answer({"at": name})
        )
    except Exception as error:
        if not lacks_memory(error):
            raise
        answer({LACKED_MEMORY: True})
    else:
        answer({"rounds": rounds})


def measure_round(
    jobs: Sequence[Job],
    *,
    warm_up: int,
    repeats: int,
    captured: Collection[str] = (),
    began: Callable[[str | None], object] = lambda _: None,
) -> dict[str, Round]:
    """Return one round by configuration, without those that raise, or change what the process shares.

    Their runs report the error. ``began`` is told the name of each configuration before its first iterations, and None
    after the last of these.

    The jobs have one data set, which is loaded once. They are timed in turn, so that a machine whose speed drifts is
    equally fast for all. Memory, without the data set, is the most that is allocated on CUDA while a job is built and
    makes its first iterations. On the CPU it is not measured: torch keeps no count there, and the resident set of the
    process hardly shows a small network.

    On CUDA one timed call is one of `TOGETHER` calls in sequence, launched or in a graph, so that waiting for the
    device weighs the same in both.

    Raises:
        Uncapturable: a configuration in ``captured`` cannot be captured; then there is no round of any.
        torch.OutOfMemoryError: there is not enough memory for all of them at once. CUDA's libraries report that by
            other errors, too; see `lacks_memory`.
    """
    device, state = torch.device(jobs[0].device), GlobalState()
    data = jobs[0].load()
    synchronize(device)
    stream = new_stream(device)
    with torch.cuda.stream(stream):
        began(jobs[0].run.configuration)
        # A second copy of the first job stays alive, so that no job is charged with what a process loads once.
        _spare = _warm(jobs[0], data, warm_up, state)
        launched: dict[str, Calls] = {}
        replayed: dict[str, Calls] = {}
        rounds: dict[str, Round] = {}
        for job in jobs:
            before, name = _memory_before(job.device), job.run.configuration
            began(name)
            if task := _warm(job, data, warm_up, state):
                launched[name] = {part: repeat_call(call, device) for part, call in task.parts().items()}
                rounds[name] = {} if before is None else {"peak_memory": _peak_memory(job.device) - before}
                if name in captured:
                    replayed[name] = capture_parts(task)
        began(None)
        for key, calls in (("calls", launched), ("captured", replayed)):
            for name, seen in time_in_turn(calls, device, repeats, state).items():
                rounds[name][key] = seen
    return {name: measured for name, measured in rounds.items() if name in launched}


def iteration_parts(task: Task) -> Calls:
    """Return the parts of an iteration, and ``ms_iteration``, the whole of it."""
    progress = torch.full((), 0.5, dtype=torch.float64, device=task.device)
    return {**task.parts(), "ms_iteration": lambda: task.step(progress)}


def capture_parts(task: Task) -> Calls:
    """Return replays of the `iteration_parts`, each a CUDA graph of `TOGETHER` calls.

    They are captured on the current stream, where they were warmed up. The graphs share their memory, since only one of
    them runs at a time, and none reads what another left there.

    Raises:
        Uncapturable: they cannot be captured.
    """
    replays: Calls = {}
    graph: CudaGraph | None = None
    for part, call in iteration_parts(task).items():
        graph = CudaGraph(torch.cuda.current_stream(), list(task.random_streams()), like=graph)
        capture(graph, partial(_repeat, call, TOGETHER))
        replays[part] = graph.replay
    return replays


def repeat_call(call: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Return a function that makes as many calls as `time_in_turn` divides its time by."""
    return call if device.type == "cpu" else lambda: _repeat(call, TOGETHER)


def _repeat(call: Callable[[], None], times: int) -> None:
    for _ in range(times):
        call()


def time_in_turn(
    calls: dict[str, Calls], device: torch.device, repeats: int, state: GlobalState | None = None
) -> dict[str, dict[str, list[float]]]:
    """Return the milliseconds of each call, by configuration and part; on CUDA each makes `TOGETHER` calls.

    A configuration that raises, or changes ``state``, is removed from ``calls``.
    """
    seen: dict[str, dict[str, list[float]]] = {name: {part: [] for part in parts} for name, parts in calls.items()}
    at_once = 1 if device.type == "cpu" else TOGETHER
    for _ in range(repeats):
        for name, parts in list(calls.items()):
            try:
                for part, call in parts.items():
                    seen[name][part].append(milliseconds(call, device) / at_once)
                if state is not None:
                    state.check(name)
            except _ANYTHING as error:
                if lacks_memory(error):
                    raise
                del calls[name], seen[name]
                if state is not None:
                    state.restore()
    return seen


def _warm(job: Job, data: Data | PairData, calls: int, state: GlobalState) -> Task | None:
    try:
        task = job.build(data)
        for part in task.parts().values():
            for _ in range(calls):
                part()
        state.check(job.run.configuration)
    except _ANYTHING as error:
        if lacks_memory(error):
            raise
        state.restore()
        return None
    return task


def _memory_before(device: str) -> float | None:
    """Return the MiB that are allocated on CUDA, above which a peak counts; None on the CPU."""
    if torch.device(device).type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    return _peak_memory(device)


def _peak_memory(device: str) -> float:
    """Return the most MiB that were allocated on a CUDA device since the last reset."""
    return float(torch.cuda.max_memory_allocated(device)) / 2**20
