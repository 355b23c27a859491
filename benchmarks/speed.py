"""Measure the speed of training: step times, CUDA graphs, packing and CPU workers. See ``--help``.

Correctness is checked first: a method whose captured iterations differ from launched ones gets no captured time. Then
come the milliseconds of each part of an iteration, launched call by call and captured in a CUDA graph, the throughput
of several runs at once, and on a CPU the throughput of several workers. Each cell is written when it is measured. A
call after an interruption measures the missing cells, if commit, device and workload are the same.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import torch
from result_files import earlier_result
from speed_cells import KINDS
from speed_goals import write_goals
from speed_plot import draw
from speed_tables import device_table
from worker_scaling import WORKLOADS
from workload import noise_images

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.files import write_json, write_text
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.timing.throughput import PACKS

FIRST = ("none", "weight_clipping", "gradient_penalty", "spectral_regularization", "spectral_normalization")
"""The methods that are measured by default on a CPU."""
METHODS = (*FIRST, *sorted(set(CONSTRAINTS) - set(FIRST)))
MAX_DISTANCE = 1e-5
"""Largest relative distance between networks of captured and of launched training that counts as equal."""
TIMEOUT_STATUS = 124
"""Exit status of a process that the command ``timeout`` ended."""
CHECK = {"width": 8, "size": 16, "batch_size": 8}


class Measurement(NamedTuple):
    """One call of ``speed_cells.py``."""

    kind: str
    arguments: dict[str, Any]
    keys: list[str]
    """Keys of the cells that it yields."""


def main() -> None:
    options = _arguments()
    name = torch.device(options.device).type
    workload = {"size": options.size, "batch_size": options.batch_size}
    origin = provenance([options.device], 1, {"noise images": noise_images(options.size).hash})
    path = options.out / f"{name}.json"
    result: dict[str, Any] = {"workload": workload, "provenance": origin, "cells": {}}
    if earlier := earlier_result(path, result):
        result["cells"] = dict(earlier["cells"])
    deadline = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    for measurement in planned(options, workload, result["cells"]):
        result["planned"] = list(dict.fromkeys([*result.get("planned", []), *measurement.keys]))
        missing = [key for key in measurement.keys if key not in result["cells"]]
        if missing and time.monotonic() < deadline:
            print(f"{measurement.kind}: {', '.join(missing)}", file=sys.stderr)
            measure = _in_subprocess if on_cuda(options) else _in_this_process
            for key, value in measure(measurement, deadline):
                result["cells"][key] = value
                write_json(path, result)
    write(options.out, name, result)


def on_cuda(options: argparse.Namespace) -> bool:
    """Return whether the device supports CUDA graphs."""
    return torch.device(options.device).type == "cuda"


def planned(options: argparse.Namespace, workload: dict[str, int], cells: dict[str, Any]) -> Iterator[Measurement]:
    """Yield the measurements, the most important first. The checks added to ``cells`` decide what is captured."""
    device, captures = options.device, on_cuda(options)
    methods = options.constraints or (list(METHODS) if captures else list(FIRST))
    precisions = ["tf32", "float32"] if captures else ["float32"]
    yield Measurement(
        "rates",
        {"device": device, "precisions": [*precisions, *["bf16"] * captures], "side": options.side},
        [f"rate/{precision}" for precision in [*precisions, *["bf16"] * captures]],
    )
    checks = [f"{check}/{method}" for method in methods for check in ("turns", *["captured"] * captures)]
    for left in _unchecked(methods, cells, captures):
        yield Measurement("checks", {"device": device, "methods": left, **CHECK}, checks)
    for precision in precisions:
        for width in options.widths:
            sized = {"device": device, "precision": precision, "width": width, **workload}
            equal = [method for method in methods if captures_correctly(cells, method)]
            captured = [method for method in equal if captures]
            timed = {"methods": methods, "captured": captured, "repeats": options.repeats}
            yield Measurement("times", {**sized, **timed}, [f"times/{precision}/{width}/{m}" for m in methods])
            for method in [method for method in FIRST if method in captured]:
                tried = {"method": method, "sizes": PACKS, "seconds": options.seconds}
                yield Measurement("packs", {**sized, **tried}, [f"packs/{precision}/{width}/{method}"])
    if not captures:
        arguments = {"seconds": options.seconds, "rounds": options.repeats}
        yield Measurement("workers", arguments, [f"workers/{name}" for name in WORKLOADS])


def _unchecked(methods: list[str], cells: dict[str, Any], captures: bool) -> Iterator[list[str]]:
    """Yield the methods without a check in ``cells``, and again until a round checks none.

    A failed capture ends the process that checks, so the methods after it need another process.
    """
    last = "captured" if captures else "turns"
    before: list[str] | None = None
    while (left := [method for method in methods if f"{last}/{method}" not in cells]) != before:
        yield left
        before = left


def captures_correctly(cells: dict[str, Any], method: str) -> bool:
    """Return whether captured iterations of ``method`` were checked and equal launched ones.

    If launched iterations do not repeat exactly, twice the distance between two launched runs is allowed.
    """
    captured, launched = cells.get(f"captured/{method}"), cells.get(f"turns/{method}")
    known = isinstance(captured, float) and isinstance(launched, float)
    return known and captured <= max(MAX_DISTANCE, 2 * launched)


def _in_this_process(measurement: Measurement, _: float) -> Iterator[tuple[str, Any]]:
    """Yield each cell when it is measured, in this process."""
    set_up_torch()
    yield from KINDS[measurement.kind](**measurement.arguments)


def _in_subprocess(measurement: Measurement, deadline: float) -> Iterator[tuple[str, Any]]:
    """Yield each cell when it is measured, in a process that a failed capture may end.

    The process is ended at the deadline. If it fails, the missing cells get the last line of its stderr.
    """
    command = [sys.executable, str(Path(__file__).with_name("speed_cells.py")), measurement.kind]
    seconds = f"{max(1.0, deadline - time.monotonic()):.0f}"
    seen = set()
    with TemporaryFile("w+", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            ["timeout", seconds, *command, json.dumps(measurement.arguments)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
        )
        assert process.stdout is not None
        for line in process.stdout:
            cell = json.loads(line)
            seen.add(cell["key"])
            yield cell["key"], cell["value"]
        if process.wait() in (0, TIMEOUT_STATUS):
            return
        stderr.seek(0)
        message = (stderr.read().strip().splitlines() or [f"exit status {process.returncode}"])[-1]
    print(f"{measurement.kind}: {message}", file=sys.stderr)
    failed = [key for key in measurement.keys if key not in seen]
    if measurement.kind == "checks" and failed:
        # The first missing method caused the failure. The others are checked in another process.
        failed = [key for key in failed if key.partition("/")[2] == failed[0].partition("/")[2]]
    for key in failed:
        yield key, {"failed": message}


def write(folder: Path, name: str, result: dict[str, Any]) -> None:
    """Write the table and figure of the device, and the goals with the results of all devices measured so far."""
    write_json(folder / f"{name}.json", result)
    write_text(folder / f"{name}.md", device_table(result))
    draw(folder, write_goals(folder))
    print(folder / "README.md")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the speed of training: steps, CUDA graphs, packing, workers.")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0")
    parser.add_argument(
        "--minutes", type=float, default=25, help="time limit; on CUDA a running measurement is ended, too"
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 16], help="channels of the first block")
    parser.add_argument("--size", type=int, default=32, help="pixels along a side, a multiple of 8")
    parser.add_argument("--batch-size", type=int, default=64, help="real images in a step, and as many generated ones")
    names = f"{', '.join(METHODS)}; default: all on CUDA, the first {len(FIRST)} on a CPU"
    parser.add_argument("--constraints", nargs="+", choices=METHODS, metavar="NAME", help=names)
    parser.add_argument("--repeats", type=int, default=30, help="calls of each part, or rounds of workers")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds for each throughput")
    parser.add_argument(
        "--side", type=int, help="rows of the multiplied matrices; default: 8192 on CUDA, 2048 on a CPU"
    )
    parser.add_argument("--out", type=Path, default=Path("results/speed"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
