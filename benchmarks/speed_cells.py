"""What ``speed.py`` measures, a kind of cell at a time, each in a process of its own: a broken capture costs no other.

``python speed_cells.py KIND '{"width": 64, ...}'`` prints a line of JSON for each cell, ``{"key": ..., "value": ...}``.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

import torch
from discriminator import generation
from matrix_rate import matrix_rate
from operations import gflop
from workers import WORKLOADS, scaling

from lipschitz.constraints.catalogue import CATALOGUE
from lipschitz.sweep.packing import packs_of
from lipschitz.sweep.process import set_up_torch
from lipschitz.tasks.generation import Generation
from lipschitz.training.clock import median_interval, milliseconds
from lipschitz.training.iterations import (
    TOGETHER,
    WARM_UP,
    CapturedIterations,
    CudaGraph,
    Iterations,
    Uncapturable,
    capture,
)

Cells = Iterator[tuple[str, Any]]
CHECKED = WARM_UP + 2 * TOGETHER
"""Iterations after which two ways to make them must have come to the same."""


def rates(device: str, precisions: Sequence[str], side: int | None) -> Cells:
    """Yield the TFLOP/s of a large matrix product in each precision."""
    for precision in precisions:
        yield f"rate/{precision}", matrix_rate(precision, torch.device(device), side)  # type: ignore[arg-type]


def checks(device: str, methods: Sequence[str], **workload: int) -> Cells:
    """Yield how far runs that take turns, and captured ones, are from the same run alone, launched call by call.

    The largest relative distance of a tensor of either network; or why iterations were not captured, and then no more.
    """
    with _stream(device):
        for name in methods:
            alone, other, again = (_task(name, device, seed=seed, **workload) for seed in (0, 1, 0))
            _make(alone)
            _make(again, other)
            yield f"turns/{name}", _distance(alone, again)
            if device != "cpu":
                replayed = _task(name, device, **workload)
                try:
                    _make(replayed, captured=True)
                except Uncapturable as reason:
                    yield f"captured/{name}", str(reason)
                    return
                yield f"captured/{name}", _distance(alone, replayed)


def times(
    device: str, precision: str, methods: Sequence[str], captured: Sequence[str], repeats: int, **workload: int
) -> Cells:
    """Yield, by method, the milliseconds of each part of an iteration, launched and captured, and its GFLOP.

    All ``methods`` take turns, call by call, alone on the device, so that a machine whose speed drifts is the same for
    all. Those in ``captured`` are captured too, `TOGETHER` calls a graph.
    """
    with _stream(device):
        tasks = {name: _task(name, device, precision=precision, **workload) for name in methods}
        parts = {name: _parts(task) for name, task in tasks.items()}
        operations = {name: {part: gflop(call) for part, call in parts[name].items()} for name in methods}
        launched = _in_turns(parts, device, repeats)
        replays = {
            name: {part: _replay(task, call) for part, call in parts[name].items()}
            for name, task in tasks.items()
            if name in captured
        }
        replayed = _in_turns(replays, device, repeats)
    for name in methods:
        value: dict[str, Any] = {"gflop": operations[name], "launched": _timings(launched[name])}
        if name in captured:
            value["captured"] = _timings(replayed[name], 1 / TOGETHER)
        yield f"times/{precision}/{workload['width']}/{name}", value


def packs(device: str, precision: str, method: str, sizes: Sequence[int], seconds: float, **workload: int) -> Cells:
    """Yield what ever more runs at once reach together, each with a seed of its own."""
    seeds = count()
    found = packs_of(
        lambda: _task(method, device, precision=precision, seed=next(seeds), **workload),
        torch.device(device),
        sizes,
        seconds,
    )
    yield f"packs/{precision}/{workload['width']}/{method}", [pack._asdict() for pack in found]


def scalings(seconds: float, rounds: int) -> Cells:
    """Yield what a worker a core reaches together, over one alone."""
    for name in WORKLOADS:
        yield f"workers/{name}", scaling(name, seconds, rounds)


KINDS: dict[str, Callable[..., Cells]] = {
    "rates": rates,
    "checks": checks,
    "times": times,
    "packs": packs,
    "workers": scalings,
}


def _task(method: str, device: str, **workload: Any) -> Generation:
    return generation(CATALOGUE[method](), device=torch.device(device), **workload)


def _parts(task: Generation) -> dict[str, Callable[[], None]]:
    return {**task.parts(), "ms_iteration": lambda: task.step(0.5)}


def _in_turns(
    calls: dict[str, dict[str, Callable[[], None]]], device: str, repeats: int
) -> dict[str, dict[str, list[float]]]:
    seen: dict[str, dict[str, list[float]]] = {name: {part: [] for part in parts} for name, parts in calls.items()}
    for index in range(WARM_UP + repeats):
        for name, parts in calls.items():
            for part, call in parts.items():
                taken = milliseconds(call, torch.device(device))
                if index >= WARM_UP:
                    seen[name][part].append(taken)
    return seen


def _timings(seen: dict[str, list[float]], factor: float = 1.0) -> dict[str, Any]:
    return {part: median_interval([factor * taken for taken in times])._asdict() for part, times in seen.items()}


def _replay(task: Generation, call: Callable[[], None]) -> Callable[[], None]:
    graph = CudaGraph(torch.cuda.current_stream(), list(task.generators()))

    def several() -> None:
        for _ in range(TOGETHER):
            call()

    capture(graph, several)
    return graph.replay


def _make(task: Generation, other: Generation | None = None, captured: bool = False) -> None:
    """Make `CHECKED` iterations of ``task``, one by one or captured, alone or in turns with those of ``other``."""
    everyone = [one for one in (task, other) if one is not None]
    made = [_captured(one) if captured else Iterations(one, CHECKED) for one in everyone]
    for turn in (WARM_UP, TOGETHER, TOGETHER):
        for iterations in made:
            iterations.make(turn, lambda: False)


def _captured(task: Generation) -> Iterations:
    return CapturedIterations(task, CHECKED, CudaGraph(torch.cuda.current_stream(), list(task.generators())))


def _distance(one: Generation, other: Generation) -> float:
    pairs = zip(_networks(one), _networks(other), strict=True)
    distances = [float((ours - theirs).norm() / ours.norm().clamp_min(1e-30)) for ours, theirs in pairs]
    # A NaN is no small distance.
    return max(math.inf if math.isnan(distance) else distance for distance in distances)


def _networks(task: Generation) -> Iterator[torch.Tensor]:
    for net in (task.generator, task.discriminator):
        yield from (tensor.double() for tensor in net.state_dict().values())


def _stream(device: str) -> AbstractContextManager[Any]:
    """Make a stream that can be captured the current one, on CUDA."""
    return torch.cuda.stream(torch.cuda.Stream(device) if device != "cpu" else None)  # type: ignore[no-untyped-call]


def main() -> None:
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    set_up_torch()
    for key, value in KINDS[kind](**arguments):
        print(json.dumps({"key": key, "value": value}), flush=True)


if __name__ == "__main__":
    main()
