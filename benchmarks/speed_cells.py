"""Measure one kind of cell for ``speed.py``: matrix rates, correctness checks, step times, packs or workers.

``python speed_cells.py KIND '{"width": 64, ...}'`` prints a line of JSON for each cell, ``{"key": ..., "value": ...}``.
On CUDA ``speed.py`` starts a process for each call, because a failed graph capture can end the process.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import torch
from operation_counts import count_gflop
from torch import Tensor
from torch.nn.functional import conv2d
from worker_scaling import WORKLOADS, scaling
from workload import dcgan_training

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.timing.one_round import capture_parts, iteration_parts, repeat_call, time_in_turn
from lipschitz.sweep.timing.throughput import PackedRun, throughputs
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.precision import Precision
from lipschitz.tf32 import float32_products
from lipschitz.training.clock import median_interval, milliseconds, synchronize
from lipschitz.training.iterations import TOGETHER, WARM_UP, Uncapturable, iterations_of, new_stream

Cells = Iterator[tuple[str, Any]]
CHECKED = WARM_UP + 2 * TOGETHER
"""Iterations after which captured and launched training are compared."""
SIDES = {"cuda": 8192, "cpu": 2048}
"""Rows and columns of the matrices whose product is timed."""
PRODUCTS = 10
"""Timed products, after three that are not counted."""


def rates(device: str, precisions: Sequence[Precision], side: int | None) -> Cells:
    """Yield the TFLOP/s of a large matrix product in each precision."""
    for precision in precisions:
        yield f"rate/{precision}", _matrix_rate(precision, torch.device(device), side)


def checks(device: str, methods: Sequence[str], **workload: int) -> Cells:
    """Yield how much a run changes when it takes turns with another run: launched call by call, then captured.

    The reference is the same run alone, launched call by call. The value is the largest relative distance of a tensor
    of either network, with deterministic cuDNN algorithms. Captured runs have one stream each, as in a pack. Where
    iterations cannot be captured, the value says why. After a failed capture nothing more is yielded.
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
    """Yield for each method the milliseconds of each part of an iteration, launched and captured, and its GFLOP.

    All ``methods`` take turns, alone on the device, so that a drift of its speed affects all alike. Those in
    ``captured`` are also captured, with `TOGETHER` calls in a graph. On CUDA as many launched calls are timed at once.
    """
    on = torch.device(device)
    stream = new_stream(on)
    with torch.cuda.stream(stream):
        tasks = {name: _task(name, device, precision=precision, **workload) for name in methods}
        parts = {name: iteration_parts(task) for name, task in tasks.items()}
        operations = {name: {part: count_gflop(call) for part, call in parts[name].items()} for name in methods}
        once = {name: {part: repeat_call(call, on) for part, call in calls.items()} for name, calls in parts.items()}
        time_in_turn(once, on, WARM_UP)
        launched = time_in_turn(once, on, repeats)
        replayed = time_in_turn({name: capture_parts(tasks[name]) for name in captured}, on, repeats)
    for name in methods:
        value: dict[str, Any] = {"gflop": operations[name], "launched": _timings(launched[name])}
        if name in replayed:
            value["captured"] = _timings(replayed[name])
        yield f"times/{precision}/{workload['width']}/{name}", value


def packs(device: str, precision: str, method: str, sizes: Sequence[int], seconds: float, **workload: int) -> Cells:
    """Yield the throughput of 1, 2, 4, ... runs at once on the device, each with another seed."""
    seeds = count()
    found = throughputs(
        lambda: _task(method, device, precision=precision, seed=next(seeds), **workload),
        torch.device(device),
        sizes,
        seconds,
    )
    yield f"packs/{precision}/{workload['width']}/{method}", [pack._asdict() for pack in found]


def scalings(seconds: float, rounds: int) -> Cells:
    """Yield the throughput of one worker for each core, relative to a single worker."""
    for name in WORKLOADS:
        yield f"workers/{name}", scaling(name, seconds, rounds)


KINDS: dict[str, Callable[..., Cells]] = {
    "rates": rates,
    "checks": checks,
    "times": times,
    "packs": packs,
    "workers": scalings,
}


def _matrix_rate(precision: Precision, device: torch.device, side: int | None) -> float:
    """Return the TFLOP/s of the product of two square matrices of normal numbers, by the median of `PRODUCTS` calls.

    The product is computed as a matrix product and as a 1x1 convolution, and the faster one counts: on a CPU torch
    uses a different library for each, and one of them may not be optimised for the processor.
    """
    n = side or SIDES[device.type]
    rng = torch.Generator(device).manual_seed(0)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(n, n, generator=rng, device=device).to(dtype) for _ in "ab")
    with float32_products("tf32" if precision == "tf32" else "ieee"):
        fastest = min(_median_ms(product, left, right, device) for product in (torch.mm, _as_convolution))
    return 2 * n**3 / (1e9 * fastest)


def _as_convolution(left: Tensor, right: Tensor) -> Tensor:
    """Return the product of ``(m, k)`` and ``(k, n)`` as ``(1, m, 1, n)``."""
    return conv2d(right[None, :, None, :], left[:, :, None, None])


def _median_ms(product: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor, device: torch.device) -> float:
    times = [milliseconds(lambda: product(left, right), device) for _ in range(3 + PRODUCTS)][3:]
    return median_interval(times).median


def _task(method: str, device: str, **workload: Any) -> GANTraining:
    return dcgan_training(CONSTRAINTS[method](), device=torch.device(device), **workload)


def _timings(seen: dict[str, list[float]]) -> dict[str, Any]:
    return {part: median_interval(taken)._asdict() for part, taken in seen.items()}


def _packed_run(task: GANTraining, stream: torch.cuda.Stream | None = None) -> PackedRun:
    """Return a run of `CHECKED` iterations, captured if a ``stream`` is given."""
    return PackedRun(stream, iterations_of(task, CHECKED, stream))


def _make(runs: Sequence[PackedRun]) -> None:
    """Make `CHECKED` iterations of each lane, in turns."""
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
