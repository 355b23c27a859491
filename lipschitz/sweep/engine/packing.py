"""How many runs of a kind share a device best: whether one is captured, and what ever more of them reach together."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lipschitz.files import write_json
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.process import prepare_process
from lipschitz.training.clock import synchronize
from lipschitz.training.iterations import (
    TOGETHER,
    WARM_UP,
    CapturedIterations,
    Iterations,
    Uncapturable,
    iterations_of,
    new_stream,
)
from lipschitz.training.loop import SLICE
from lipschitz.training.task import Task

PACKS = (1, 2, 4, 8, 16)
"""Runs at once that are tried."""
GAIN = 1.1
"""What twice as many runs must gain in throughput for more to be tried."""
ENOUGH = 0.95
"""Share of the best throughput with which fewer runs are preferred."""
SECONDS = 1.0
"""For how long each number of runs is tried."""


class Pack(NamedTuple):
    """What so many runs at once make of a device."""

    runs: int
    iterations_per_second: float
    """Of all of them together."""
    memory: float
    """What torch holds of the device for them, in MiB; on the CPU zero."""


class Lane(NamedTuple):
    """One of several runs that take turns."""

    stream: torch.cuda.Stream | None
    iterations: Iterations


def time_packs(pack: int | None, answer: Path, job: Job, channel: Connection) -> None:
    """Write to the file ``answer`` why ``job`` is ``uncaptured``, or its ``packs`` and the best ``pack`` of them.

    Where ``pack`` is given it is only captured, not tried with others. What is found is written as soon as it is.
    """
    prepare_process()
    device = torch.device(job.device)
    torch.cuda.set_device(device)
    data, seeds = job.load(), count()
    synchronize(device)
    found: list[Pack] = []

    def build() -> Task:
        return job.seeded(next(seeds)).build(data)

    try:
        for one in packs_of(build, device, (1,) if pack else PACKS):
            found.append(one)
            packs = {"packs": [each._asdict() for each in found], "pack": best(found)}
            write_json(answer, {"captured": True, **({} if pack else packs)})
    except Uncapturable as reason:
        write_json(answer, {"uncaptured": str(reason)})


def packs_of(
    build: Callable[[], Task], device: torch.device, sizes: Sequence[int] = PACKS, seconds: float = SECONDS
) -> Iterator[Pack]:
    """Yield the throughput of ever more runs that take turns, until more of them gain little or lack memory.

    ``build`` makes the task of one more run.

    Raises:
        Uncapturable: a run is not captured on a device that captures, and not merely for want of memory beside others.
    """
    lanes: list[Lane] = []
    before = 0.0
    for size in sizes:
        try:
            while len(lanes) < size:
                lanes.append(lane(build, device))
            pack = Pack(size, _throughput(lanes, device, seconds), _memory(device))
        except torch.OutOfMemoryError:
            return
        except Uncapturable as error:
            if error.lacked_memory and before:
                return
            raise
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
    """Return one more run, warmed up and captured where the device captures, on a stream of its own.

    Raises:
        Uncapturable: it is not captured on a device that captures.
    """
    stream = new_stream(device)
    with torch.cuda.stream(stream):
        task = build()
        # So many steps that no learning rate reaches its end.
        iterations = iterations_of(task, 10**9, stream)
        if stream is not None and not isinstance(iterations, CapturedIterations):
            raise Uncapturable(task.uncapturable_reason() or "")
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
    """Return what torch holds in MiB: a graph keeps what its iterations need, whether or not they are under way."""
    return float(torch.cuda.memory_reserved(device)) / 2**20 if device.type == "cuda" else 0.0


def facts_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of the answer of `time_packs`; where there is none, that nothing came of trying."""
    return answer or {"uncaptured": "there was no memory for one run, or the process that was to capture it died"}
