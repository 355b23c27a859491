"""Time each part of the measurement of a discriminator, and its share of the training time. See ``--help``."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from result_files import write_result
from workload import PLACES, POINTS, dcgan_training, noise_images

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import input_shapes
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance
from lipschitz.tasks.measurement import measure_discriminator
from lipschitz.tasks.terms import Evaluation

CADENCE = Evaluation().every
ALLOWED = {"σ of kernels and operators, warm": "1 s", "certified bounds of layers": "4 s", "share of training": "5 %"}
HEADINGS = ("what", "measured", "allowed")


def main() -> None:
    options = _arguments()
    set_up_torch()
    workload = {"width": options.width, "size": options.size, "batch_size": options.batch_size}
    result: dict[str, Any] = {
        "workload": {**workload, "constraint": options.constraint, "steps": options.steps, "every": CADENCE},
        "provenance": provenance(["cpu"], 1, {"noise images": noise_images(options.size).hash}),
        "seconds": measure(options, workload),
    }
    write_result(options.out, "measurement", result, _title(result["workload"]), [HEADINGS, *_rows(result["seconds"])])
    print(options.out / "table.md")


def measure(options: argparse.Namespace, workload: dict[str, int]) -> dict[str, float]:
    """Return seconds by part. The warm measurement starts from the vectors of one that is ``steps`` steps older."""
    task = dcgan_training(CONSTRAINTS[options.constraint](), **workload)
    shape = (3, options.size, options.size)
    example = torch.zeros(1, *shape, dtype=torch.float64)
    places = {place: torch.randn(POINTS, *shape) for place in PLACES}
    starts: dict[str, torch.Tensor] = {}
    seconds: dict[str, float] = {}
    with float64_copy(task.discriminator) as net:
        seconds["σ of kernels and operators, cold"] = _seconds(lambda: layer_sigmas(net, example, starts=starts))
    steps = [_seconds(lambda: task.step(0.0)) for _ in range(options.steps)]
    with float64_copy(task.discriminator) as net:
        shapes = input_shapes(net, shape)
        kept = dict(starts)
        seconds["σ of kernels and operators, warm"] = _seconds(lambda: layer_sigmas(net, example, starts=kept))
        seconds["certified bounds of layers"] = _seconds(lambda: layer_bounds(net, shapes))
    whole = _seconds(lambda: measure_discriminator(task.discriminator, places, starts))
    seconds["whole measurement of the discriminator"] = whole
    seconds["training step"] = median(steps)
    seconds["share of training"] = whole / (CADENCE * median(steps))
    return seconds


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _rows(seconds: dict[str, float]) -> list[tuple[str, ...]]:
    return [
        (name, f"{100 * value:.1f} %" if name.startswith("share") else f"{value:.2f} s", ALLOWED.get(name, "-"))
        for name, value in seconds.items()
    ]


def _title(workload: dict[str, Any]) -> str:
    return (
        "# Cost of measuring\n\n"
        f"SN-GAN's standard discriminator at width {workload['width']}, images of {workload['size']}x"
        f"{workload['size']}, batch {workload['batch_size']}, {workload['constraint']}, one thread. The "
        f"warm measurement starts from the vectors of a measurement {workload['steps']} training steps earlier. The "
        f"whole measurement adds spectra, gradients at {POINTS} points of each of {len(PLACES)} kinds, and the bracket "
        f"around the Lipschitz constant. Its share is relative to {CADENCE} training steps, the default number between "
        "two evaluations."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the measurement of a discriminator, part by part.")
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--size", type=int, default=32, help="pixels along a side, a multiple of 8")
    parser.add_argument("--batch-size", type=int, default=64, help="samples a step")
    parser.add_argument(
        "--constraint", choices=CONSTRAINTS, default="none", metavar="NAME", help="constraint of the discriminator"
    )
    parser.add_argument("--steps", type=int, default=20, help="training steps between the two measurements")
    parser.add_argument("--out", type=Path, default=Path("results/measurement"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
