"""Measure the throughput of several runs that share a GPU, to choose how many of a configuration share a worker."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import torch

from lipschitz.out_of_memory import lacks_memory
from lipschitz.sweep.engine.job import Job
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
"""Numbers of runs at once that are measured."""
MIN_GAIN = 1.1
"""Factor that twice as many runs must gain in throughput for more to be measured."""
NEARLY_BEST = 0.95
"""Share of the best throughput with which fewer runs are preferred."""
SECONDS = 1.0
"""For how long each number of runs is measured."""


class Pack(NamedTuple):
    """The throughput of several runs at once on a device."""

    runs: int
    iterations_per_second: float
    """Of all runs together."""
    memory: float
    """Device memory that torch reserves for all runs, in MiB; zero on the CPU."""


class PackedRun(NamedTuple):
    """One of several runs that train in turn."""

    stream: torch.cuda.Stream | None
    iterations: Iterations


def measure_packs(pack: int | None, job: Job, answer: Callable[[dict[str, Any]], None]) -> None:
    """Capture ``job`` as a CUDA graph, measure its ``packs``, and choose the best ``pack`` of them.

    Where ``pack`` is given the job is only captured. What is found is given to ``answer`` after each pack; the reason
    why the job cannot be captured as ``uncaptured``.
    """
    device = torch.device(job.device)
    torch.cuda.set_device(device)
    data, seeds = job.load(), count()
    synchronize(device)
    packs: list[Pack] = []

    def build() -> Task:
        return job.with_seed(next(seeds)).build(data)

    try:
        for measured in throughputs(build, device, (1,) if pack else PACKS):
            packs.append(measured)
            found = {"packs": [each._asdict() for each in packs], "pack": best_pack(packs)}
            answer({"captured": True, **({} if pack else found)})
    except Uncapturable as reason:
        answer({"uncaptured": str(reason)})


def throughputs(
    build: Callable[[], Task], device: torch.device, sizes: Sequence[int] = PACKS, seconds: float = SECONDS
) -> Iterator[Pack]:
    """Yield the throughput of packs of growing ``sizes``, until more runs gain little or do not fit into memory.

    Args:
        build: makes the task of one more run.
        seconds: for how long each pack is measured.

    Raises:
        Uncapturable: a run cannot be captured as a CUDA graph, unless memory is lacking for a further run.
    """
    runs: list[PackedRun] = []
    before = 0.0
    for size in sizes:
        try:
            while len(runs) < size:
                runs.append(start_run(build, device))
            pack = Pack(size, iterations_per_second(runs, device, seconds), _reserved_memory(device))
        except Uncapturable as error:
            if error.lacked_memory and before:
                return
            raise
        except Exception as error:
            if lacks_memory(error):
                return
            raise
        yield pack
        if pack.iterations_per_second < MIN_GAIN * before:
            return
        before = pack.iterations_per_second


def best_pack(packs: Sequence[Pack]) -> int:
    """Return the fewest runs with nearly the best throughput; one where nothing was measured."""
    if not packs:
        return 1
    fastest = max(pack.iterations_per_second for pack in packs)
    return min(pack.runs for pack in packs if pack.iterations_per_second >= NEARLY_BEST * fastest)


def start_run(build: Callable[[], Task], device: torch.device, *, captures: bool = True) -> PackedRun:
    """Return one more run on a new stream, warmed up, and on CUDA captured as a CUDA graph if ``captures``.

    Raises:
        Uncapturable: it cannot be captured.
    """
    stream = new_stream(device)
    with torch.cuda.stream(stream):
        task = build()
        # So many steps that no learning rate decays to its end.
        iterations = iterations_of(task, 10**9, stream if captures else None)
        if captures and stream is not None and not isinstance(iterations, CapturedIterations):
            raise Uncapturable(task.uncapturable_reason() or "")
        iterations.make(WARM_UP + TOGETHER, _never)
    return PackedRun(stream, iterations)


def train_slice(run: PackedRun) -> int:
    """Train one slice of a run; return its number of iterations."""
    with torch.cuda.stream(run.stream):
        return run.iterations.make(SLICE, _never)


def iterations_per_second(runs: Sequence[PackedRun], device: torch.device, seconds: float = SECONDS) -> float:
    """Return the iterations per second of all ``runs``, which train slices in turn for ``seconds``."""
    synchronize(device)
    made, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        made += sum(map(train_slice, runs))
        # As the training loop does after each slice; otherwise the host would launch far ahead of the device.
        synchronize(device)
    return made / (time.perf_counter() - start)


def _never() -> bool:
    return False


def _reserved_memory(device: torch.device) -> float:
    """Return the memory that torch reserves in MiB. A graph keeps the memory of its iterations between replays."""
    return float(torch.cuda.memory_reserved(device)) / 2**20 if device.type == "cuda" else 0.0
