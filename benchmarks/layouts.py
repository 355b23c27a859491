"""Time a training iteration by precision and memory layout, and list the kernels that take longest. See ``--help``.

Each row is written when it is measured. On CUDA an iteration is timed launched call by call and captured in a graph.
"""

import argparse
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from operation_counts import count_operations
from result_files import write_result
from torch.profiler import ProfilerActivity, profile
from workload import dcgan_training, noise_images

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.errors import first_line
from lipschitz.out_of_memory import lacks_memory
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.timing.one_round import capture_parts, iteration_parts, repeat_call, time_in_turn
from lipschitz.training.clock import median_interval, synchronize
from lipschitz.training.iterations import WARM_UP, new_stream

METHODS = ("none", "gradient_penalty", "spectral_normalization")
LAYOUTS = ("contiguous", "channels_last")
PART = "ms_iteration"
HEADINGS = (
    "method",
    "precision",
    "layout",
    "launched, ms",
    "captured, ms",
    "operators",
    "kernels",
    "longest kernels, µs",
)
LONGEST = 6
"""Kernels that are listed by name."""


def main() -> None:
    options = _arguments()
    set_up_torch()
    device = torch.device(options.device)
    workload = {"width": options.width, "size": options.size, "batch_size": options.batch_size}
    origin = provenance([options.device], 1, {"noise images": noise_images(options.size).hash})
    result: dict[str, Any] = {"workload": workload, "provenance": origin, "rows": {}}
    precisions = ("tf32", "float32", "bf16") if device.type == "cuda" else ("float32", "bf16")
    for precision, layout, method in product(precisions, LAYOUTS, options.constraints):
        terms = {"precision": precision, "layout": layout, "device": device, **workload}
        try:
            row = measure(method, options.repeats, terms, profiled=options.profile)
        except Exception as error:
            if lacks_memory(error):
                raise
            # A method may refuse a precision. The others are timed all the same.
            row = {"failed": first_line(error, with_type=True)}
        result["rows"][f"{method}/{precision}/{layout}"] = row
        write_result(options.out, "layouts", result, _title(workload), [HEADINGS, *_rows(result["rows"])])
    print(options.out / "table.md")


def measure(method: str, repeats: int, terms: dict[str, Any], *, profiled: bool) -> dict[str, Any]:
    """Return the milliseconds of an iteration, launched and on CUDA captured, its operators, and its kernels."""
    device = terms["device"]
    with torch.cuda.stream(new_stream(device)):
        task = dcgan_training(CONSTRAINTS[method](), **terms)
        step = iteration_parts(task)[PART]
        for _ in range(WARM_UP):
            step()
        row: dict[str, Any] = {"launched": _timing(repeat_call(step, device), device, repeats)}
        row["operators"] = count_operations(step).aten_calls
        if device.type == "cuda":
            if profiled:
                row["kernels"], row["longest"] = kernels(step, device)
            row["captured"] = _timing(capture_parts(task)[PART], device, repeats)
    return row


def kernels(step: Callable[[], None], device: torch.device) -> tuple[int, dict[str, float]]:
    """Return the number of kernels of a call, and the µs of those that take longest by name, the longest first."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        step()
        synchronize(device)
    seen = sorted(profiler.key_averages(), key=lambda event: -event.self_device_time_total)
    return sum(event.count for event in seen), {event.key: event.self_device_time_total for event in seen[:LONGEST]}


def _timing(call: Callable[[], None], device: torch.device, repeats: int) -> dict[str, Any]:
    return median_interval(time_in_turn({"": {PART: call}}, device, repeats)[""][PART])._asdict()


def _rows(rows: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            *name.split("/"),
            *(
                f"{row[how]['median']:.3f}" if how in row else row.get("failed", "-")
                for how in ("launched", "captured")
            ),
            *(str(row.get(key, "-")) for key in ("operators", "kernels")),
            "; ".join(f"{kernel[:60]} {taken:.0f}" for kernel, taken in row.get("longest", {}).items()) or "-",
        )
        for name, row in rows.items()
    ]


def _title(workload: dict[str, int]) -> str:
    return (
        "# Iterations by precision and layout\n\n"
        f"SN-GAN's standard CNN at width {workload['width']}, images 3x{workload['size']}x{workload['size']}, batch "
        f"{workload['batch_size']}, hinge loss, setting C: one discriminator and one generator step. Medians. "
        "Operators are calls of ATen that are no views. Kernels are those of one launched iteration, by torch's "
        "profiler."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time an iteration by precision and memory layout.")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0")
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--size", type=int, default=32, help="pixels along a side, a multiple of 8")
    parser.add_argument("--batch-size", type=int, default=64, help="real images in a step, and as many generated ones")
    parser.add_argument("--constraints", nargs="+", choices=CONSTRAINTS, default=METHODS, metavar="NAME")
    parser.add_argument("--repeats", type=int, default=20, help="timed calls")
    parser.add_argument("--no-profile", dest="profile", action="store_false", help="do not count kernels")
    parser.add_argument("--out", type=Path, default=Path("results/layouts"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
