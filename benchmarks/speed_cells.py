"""What ``speed.py`` measures, a kind of cell at a time; on CUDA each call in a process, which a broken capture may end.

``python speed_cells.py KIND '{"width": 64, ...}'`` prints a line of JSON for each cell, ``{"key": ..., "value": ...}``.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import torch
from discriminator import generation
from matrix_rate import matrix_rate
from operations import gflop
from workers import WORKLOADS, scaling

from lipschitz.constraints.catalogue import CONSTRAINTS
from lipschitz.sweep.engine.process import set_up_torch
from lipschitz.sweep.timing.one_round import capture_call, iteration_parts, repeat_call, time_in_turn
from lipschitz.sweep.timing.throughput import PackedRun, throughputs
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.precision import Precision
from lipschitz.training.clock import median_interval, synchronize
from lipschitz.training.iterations import TOGETHER, WARM_UP, Uncapturable, iterations_of, new_stream

Cells = Iterator[tuple[str, Any]]
CHECKED = WARM_UP + 2 * TOGETHER
"""Iterations after which two ways to make them must have come to the same."""


def rates(device: str, precisions: Sequence[Precision], side: int | None) -> Cells:
    """Yield the TFLOP/s of a large matrix product in each precision."""
    for precision in precisions:
        yield f"rate/{precision}", matrix_rate(precision, torch.device(device), side)


def checks(device: str, methods: Sequence[str], **workload: int) -> Cells:
    """Yield how far from a run alone, launched call by call, is the same in turns with another, launched or captured.

    The largest relative distance of a tensor of either network, cuDNN kept to algorithms that repeat; captured runs
    have a stream each, as in a pack. Or why iterations were not captured: where that broke off a capture, no more.
    """
    torch.backends.cudnn.deterministic = True
    for name in methods:
        alone, *launched = (_task(name, device, seed=seed, **workload) for seed in (0, 0, 1))
        _make([_packed_run(alone)])
        _make([_packed_run(task) for task in launched])
        yield f"turns/{name}", _distance(alone, launched[0])
        if device == "cpu":
            continue
        captured = [_task(name, device, seed=seed, **workload) for seed in (0, 1)]
        if reason := alone.uncapturable_reason():
            yield f"captured/{name}", reason
            continue
        try:
            _make([_packed_run(task, new_stream(torch.device(device))) for task in captured])
        except Uncapturable as error:
            yield f"captured/{name}", str(error)
            return
        yield f"captured/{name}", _distance(alone, captured[0])


def times(
    device: str, precision: str, methods: Sequence[str], captured: Sequence[str], repeats: int, **workload: int
) -> Cells:
    """Yield, by method, the milliseconds of each part of an iteration, launched and captured, and its GFLOP.

    All ``methods`` take turns, alone on the device, so that a machine whose speed drifts is the same for all. Those in
    ``captured`` are captured too, `TOGETHER` calls a graph; on CUDA as many launched calls are timed at once.
    """
    on = torch.device(device)
    stream = new_stream(on)
    with torch.cuda.stream(stream):
        tasks = {name: _task(name, device, precision=precision, **workload) for name in methods}
        parts = {name: iteration_parts(task) for name, task in tasks.items()}
        operations = {name: {part: gflop(call) for part, call in parts[name].items()} for name in methods}
        once = {name: {part: repeat_call(call, on) for part, call in calls.items()} for name, calls in parts.items()}
        time_in_turn(once, on, WARM_UP)
        launched = time_in_turn(once, on, repeats)
        graphs = {
            name: {part: capture_call(tasks[name], call) for part, call in parts[name].items()} for name in captured
        }
        replayed = time_in_turn(graphs, on, repeats)
    for name in methods:
        value: dict[str, Any] = {"gflop": operations[name], "launched": _timings(launched[name])}
        if name in replayed:
            value["captured"] = _timings(replayed[name])
        yield f"times/{precision}/{workload['width']}/{name}", value


def packs(device: str, precision: str, method: str, sizes: Sequence[int], seconds: float, **workload: int) -> Cells:
    """Yield what ever more runs at once reach together, each with a seed of its own."""
    seeds = count()
    found = throughputs(
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


def _task(method: str, device: str, **workload: Any) -> GANTraining:
    return generation(CONSTRAINTS[method](), device=torch.device(device), **workload)


def _timings(seen: dict[str, list[float]]) -> dict[str, Any]:
    return {part: median_interval(taken)._asdict() for part, taken in seen.items()}


def _packed_run(task: GANTraining, stream: torch.cuda.Stream | None = None) -> PackedRun:
    """Return a run of `CHECKED` iterations, captured where it has a ``stream``."""
    return PackedRun(stream, iterations_of(task, CHECKED, stream))


def _make(runs: Sequence[PackedRun]) -> None:
    """Make `CHECKED` iterations of each, in turns."""
    device = runs[0].iterations.task.device
    synchronize(device)
    for turn in (WARM_UP, TOGETHER, TOGETHER):
        for stream, iterations in runs:
            with torch.cuda.stream(stream):
                iterations.make(turn, lambda: False)
    synchronize(device)


def _distance(one: GANTraining, other: GANTraining) -> float | str:
    pairs = zip(_networks(one), _networks(other), strict=True)
    distances = [float((ours - theirs).norm() / ours.norm().clamp_min(1e-30)) for ours, theirs in pairs]
    return max(distances) if all(map(math.isfinite, distances)) else "the networks are not finite"


def _networks(task: GANTraining) -> Iterator[torch.Tensor]:
    for net in (task.generator, task.discriminator):
        yield from (tensor.double() for tensor in net.state_dict().values())


def main() -> None:
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    set_up_torch()
    for key, value in KINDS[kind](**arguments):
        print(json.dumps({"key": key, "value": value}), flush=True)


if __name__ == "__main__":
    main()
