"""How fast training is, all in one go: see ``--help``.

Correctness comes first: what does not come to the same as a run alone has no captured time. Then the milliseconds of
every part of an iteration, launched call by call and captured, the throughput of several runs at once, and that of
workers on a CPU. Each cell is written as soon as it is measured, so that a measurement that is cut off keeps what it
has, and one that is called again goes on, on the same commit, device and workload.
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
from discriminator import noise_images
from paired import same_conditions
from speed_cells import KINDS
from speed_goals import goals_table
from speed_plot import draw
from speed_tables import device_table
from workers import WORKLOADS

from lipschitz.constraints.catalogue import CONSTRAINTS
from lipschitz.files import write_json, write_text
from lipschitz.sweep.engine.process import set_up_torch
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.timing.throughput import PACKS

FIRST = ("none", "weight_clipping", "gradient_penalty", "spectral_regularization", "spectral_normalization")
"""Methods that the project compares above all."""
METHODS = (*FIRST, *sorted(set(CONSTRAINTS) - set(FIRST)))
SAME = 1e-5
"""Relative distance up to which captured iterations come to the same as launched ones."""
OUT_OF_TIME = 124
"""Exit status of a process that ``timeout`` ended."""
CHECK = {"width": 8, "size": 16, "batch_size": 8}


class Measurement(NamedTuple):
    """One call of ``speed_cells.py``."""

    kind: str
    arguments: dict[str, Any]
    keys: list[str]
    """Of the cells that it yields."""


def main() -> None:
    options = _arguments()
    name = torch.device(options.device).type
    workload = {"size": options.size, "batch_size": options.batch_size}
    origin = provenance([options.device], 1, {"noise images": noise_images(options.size).hash})
    path = options.out / f"{name}.json"
    result: dict[str, Any] = {"workload": workload, "provenance": origin, "cells": {}}
    result["cells"] = _kept(path, result)
    deadline = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    for measurement in planned(options, workload, result["cells"]):
        result["planned"] = list(dict.fromkeys([*result.get("planned", []), *measurement.keys]))
        missing = [key for key in measurement.keys if key not in result["cells"]]
        if missing and time.monotonic() < deadline:
            print(f"{measurement.kind}: {', '.join(missing)}", file=sys.stderr)
            measured = _beside if on_cuda(options) else _here
            for key, value in measured(measurement, deadline):
                result["cells"][key] = value
                write_json(path, result)
    write(options.out, name, result)


def on_cuda(options: argparse.Namespace) -> bool:
    """Say whether the device captures."""
    return torch.device(options.device).type == "cuda"


def planned(options: argparse.Namespace, workload: dict[str, int], cells: dict[str, Any]) -> Iterator[Measurement]:
    """Yield what is to be measured, the most important first; what is captured is decided by the checks before it."""
    device, captures = options.device, on_cuda(options)
    methods = options.constraints or (list(METHODS) if captures else list(FIRST))
    precisions = ["tf32", "float32"] if captures else ["float32"]
    yield Measurement(
        "rates",
        {"device": device, "precisions": [*precisions, *["bf16"] * captures], "side": options.side},
        [f"rate/{precision}" for precision in [*precisions, *["bf16"] * captures]],
    )
    checks = [f"{check}/{method}" for method in methods for check in ("turns", *["captured"] * captures)]
    for left in _until_done(methods, cells, captures):
        yield Measurement("checks", {"device": device, "methods": left, **CHECK}, checks)
    for precision in precisions:
        for width in options.widths:
            sized = {"device": device, "precision": precision, "width": width, **workload}
            sound = [method for method in methods if is_sound(cells, method)]
            captured = [method for method in sound if captures]
            timed = {"methods": methods, "captured": captured, "repeats": options.repeats}
            yield Measurement("times", {**sized, **timed}, [f"times/{precision}/{width}/{m}" for m in methods])
            for method in [method for method in FIRST if method in captured]:
                tried = {"method": method, "sizes": PACKS, "seconds": options.seconds}
                yield Measurement("packs", {**sized, **tried}, [f"packs/{precision}/{width}/{method}"])
    if not captures:
        arguments = {"seconds": options.seconds, "rounds": options.repeats}
        yield Measurement("workers", arguments, [f"workers/{name}" for name in WORKLOADS])


def _until_done(methods: list[str], cells: dict[str, Any], captures: bool) -> Iterator[list[str]]:
    """Yield the methods not checked yet, again as long as they become fewer: a broken capture ends a process."""
    last = "captured" if captures else "turns"
    before: list[str] | None = None
    while (left := [method for method in methods if f"{last}/{method}" not in cells]) != before:
        yield left
        before = left


def is_sound(cells: dict[str, Any], method: str) -> bool:
    """Say whether the captured iterations of ``method`` were seen to come to the same as launched ones.

    Or no further from them than twice what launched ones are from each other, where kernels do not repeat.
    """
    captured, launched = cells.get(f"captured/{method}"), cells.get(f"turns/{method}")
    known = isinstance(captured, float) and isinstance(launched, float)
    return known and captured <= max(SAME, 2 * launched)


def _here(measurement: Measurement, _: float) -> Iterator[tuple[str, Any]]:
    """Yield each cell as it comes, measured in this process."""
    set_up_torch()
    yield from KINDS[measurement.kind](**measurement.arguments)


def _beside(measurement: Measurement, deadline: float) -> Iterator[tuple[str, Any]]:
    """Yield each cell as it comes, measured in another process, which a broken capture may take with it.

    None comes after the deadline; of a process that fails, the last line that it says.
    """
    command = [sys.executable, str(Path(__file__).with_name("speed_cells.py")), measurement.kind]
    seconds = f"{max(1.0, deadline - time.monotonic()):.0f}"
    seen = set()
    with TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            ["timeout", seconds, *command, json.dumps(measurement.arguments)],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            cell = json.loads(line)
            seen.add(cell["key"])
            yield cell["key"], cell["value"]
        if process.wait() in (0, OUT_OF_TIME):
            return
        complaints.seek(0)
        said = (complaints.read().strip().splitlines() or [f"exit status {process.returncode}"])[-1]
    print(f"{measurement.kind}: {said}", file=sys.stderr)
    left = [key for key in measurement.keys if key not in seen]
    if measurement.kind == "checks" and left:
        # The method of the first one that is left is to blame; the others are tried again.
        left = [key for key in left if key.partition("/")[2] == left[0].partition("/")[2]]
    for key in left:
        yield key, {"failed": said}


def write(folder: Path, name: str, result: dict[str, Any]) -> None:
    """Write the device's table and figure, and what was to be reached on all devices that were measured so far."""
    write_json(folder / f"{name}.json", result)
    write_text(folder / f"{name}.md", device_table(result))
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    write_text(folder / "README.md", goals_table(found))
    draw(folder, found)
    print(folder / "README.md")


def _kept(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Return the cells that an earlier call measured under the same conditions."""
    try:
        earlier = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return dict(earlier["cells"]) if same_conditions(earlier, result) else {}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how fast training is: steps, captured and packed.")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0")
    parser.add_argument(
        "--minutes", type=float, default=25, help="after which nothing more is begun, and on CUDA nothing goes on"
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 16], help="channels of the first block")
    parser.add_argument("--size", type=int, default=32, help="pixels along a side, a multiple of 8")
    parser.add_argument("--batch-size", type=int, default=64, help="real images a step, and as many generated ones")
    said = f"{', '.join(METHODS)}; by default all on CUDA, the first {len(FIRST)} on a CPU"
    parser.add_argument("--constraints", nargs="+", choices=METHODS, metavar="NAME", help=said)
    parser.add_argument("--repeats", type=int, default=30, help="calls of each part, or rounds of workers")
    parser.add_argument("--seconds", type=float, default=1.0, help="for which a throughput is measured")
    parser.add_argument("--side", type=int, help="of the matrices whose product is timed; 8192 on CUDA, 2048 on a CPU")
    parser.add_argument("--out", type=Path, default=Path("results/speed"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
