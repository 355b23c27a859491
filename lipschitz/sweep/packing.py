"""How many runs of a kind share a device best, and what a captured iteration takes: measured once a configuration."""

import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lipschitz.files import write_json
from lipschitz.sweep.job import Job
from lipschitz.sweep.process import prepare_process
from lipschitz.training.clock import Timing, median_interval, milliseconds, synchronize
from lipschitz.training.iterations import TOGETHER, WARM_UP, CudaGraph, Iterations, Uncapturable, capture, iterations_of
from lipschitz.training.loop import SLICE
from lipschitz.training.task import Task

PACKS = (1, 2, 4, 8, 16, 32)
"""Runs at once that are tried; torch has 32 streams."""
GAIN = 1.1
"""What twice as many runs must gain in throughput for more to be tried."""
ENOUGH = 0.95
"""Share of the best throughput with which fewer runs are preferred."""
SECONDS = 1.0
"""For how long each number of runs is tried."""
REPLAYS = 30
"""Of the graph of each part of an iteration."""


class Pack(NamedTuple):
    """What so many runs at once make of a device."""

    runs: int
    iterations_per_second: float
    """Of all of them together."""
    memory: float
    """The most that was allocated, in MiB; on the CPU zero."""


class Lane(NamedTuple):
    """One of several runs that take turns."""

    stream: torch.cuda.Stream | None
    iterations: Iterations


def time_packs(pack: int | None, answer: Path, job: Job, channel: Connection) -> None:
    """Write to the file ``answer`` what `captured_timing` finds of ``job``, and its packs, unless ``pack`` is given."""
    prepare_process()
    device = torch.device(job.device)
    torch.cuda.set_device(device)
    data = job.load()
    synchronize(device)
    measured: dict[str, Any]
    try:
        with torch.cuda.stream(torch.cuda.Stream(device)):  # type: ignore[no-untyped-call]
            measured = {
                "captured": {name: timing._asdict() for name, timing in captured_timing(job.build(data)).items()}
            }
    except Uncapturable as reason:
        measured = {"uncaptured": str(reason)}
    if pack is None and "captured" in measured:
        packs = list(packs_of(lambda: job.build(data), device))
        measured |= {"packs": [pack._asdict() for pack in packs], "pack": best(packs)}
    write_json(answer, measured)


def captured_timing(task: Task) -> dict[str, Timing]:
    """Return the milliseconds of each part of an iteration, and of all of it, captured on the current stream.

    Raises:
        Uncapturable: the task does what no graph can hold.
    """
    if reason := task.why_uncaptured():
        raise Uncapturable(reason)
    parts = {**task.parts(), "ms_iteration": lambda: task.step(0.5)}
    return {name: _replayed(part, task) for name, part in parts.items()}


def _replayed(part: Callable[[], None], task: Task) -> Timing:
    _repeat(part, WARM_UP)
    graph = CudaGraph(torch.cuda.current_stream(), list(task.generators()))
    capture(graph, lambda: _repeat(part, TOGETHER))
    graph.replay()
    calls = [milliseconds(graph.replay, task.device) / TOGETHER for _ in range(REPLAYS)]
    return median_interval(calls)


def _repeat(part: Callable[[], None], times: int) -> None:
    for _ in range(times):
        part()


def packs_of(
    build: Callable[[], Task], device: torch.device, sizes: Sequence[int] = PACKS, seconds: float = SECONDS
) -> Iterator[Pack]:
    """Yield the throughput of ever more runs that take turns, until more of them gain little or lack memory.

    ``build`` makes the task of one more run.
    """
    lanes: list[Lane] = []
    before = 0.0
    for size in sizes:
        try:
            while len(lanes) < size:
                lanes.append(lane(build, device))
            pack = Pack(size, _throughput(lanes, device, seconds), _memory(device))
        except (torch.OutOfMemoryError, Uncapturable):
            return
        yield pack
        if pack.iterations_per_second < GAIN * before:
            return
        before = pack.iterations_per_second


def best(packs: Sequence[Pack]) -> int:
    """Return the fewest runs whose throughput is nearly the best; one where nothing was measured."""
    if not packs:
        return 1
    fastest = max(pack.iterations_per_second for pack in packs)
    return min(pack.runs for pack in packs if pack.iterations_per_second >= ENOUGH * fastest)


def lane(build: Callable[[], Task], device: torch.device) -> Lane:
    """Return one more run, warmed up and captured where the device captures, on a stream of its own."""
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        # So many steps that no learning rate reaches its end.
        iterations = iterations_of(build(), 10**9, stream)
        iterations.make(WARM_UP + TOGETHER, _never)
    return Lane(stream, iterations)


def turn(one: Lane) -> int:
    """Give a run a slice; return how many iterations that is."""
    with torch.cuda.stream(one.stream):
        return one.iterations.make(SLICE, _never)


def _throughput(lanes: Sequence[Lane], device: torch.device, seconds: float) -> float:
    synchronize(device)
    made, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        made += sum(map(turn, lanes))
        # As the loop does after each slice; else the host would launch ahead for longer than it measures.
        synchronize(device)
    return made / (time.perf_counter() - start)


def _never() -> bool:
    return False


def _memory(device: torch.device) -> float:
    return float(torch.cuda.max_memory_allocated(device)) / 2**20 if device.type == "cuda" else 0.0
