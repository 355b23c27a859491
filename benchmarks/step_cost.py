"""What each constraint adds to a discriminator step, in time, operations and memory: see ``--help``.

Both nets live in one process of one thread, see the same batches, and step in turn. Results are written after each
constraint, so a measurement that is cut off keeps what it has, and one that is asked for some constraints keeps the
others' rows as long as they were measured on the same commit, device and workload.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from discriminator import IMAGES, generation, noise_images
from operations import counted
from paired import compared, interval, pairs, same_conditions, watched, write
from torch_spectral_norm import TorchSpectralNorm

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.catalogue import CONSTRAINTS
from lipschitz.constraints.none import NoConstraint
from lipschitz.sweep.engine.process import set_up_torch
from lipschitz.sweep.provenance import provenance

TARGETS = {
    "weight_clipping": 1.03,
    "spectral_regularization": 1.06,
    "spectral_normalization": 1.02,
    "gradient_penalty": 2.1,
}
"""Largest ratio to a step without constraint that the project allows itself, at width 64 and batch 64."""
WARM_UP = 5
REFERENCE = {"torch_spectral_norm": TorchSpectralNorm}
METHODS = {name: kind for name, kind in CONSTRAINTS.items() if kind is not NoConstraint} | REFERENCE
HEADINGS = (
    "constraint",
    "ratio to none",
    "95 % interval",
    "allowed",
    "ms",
    "ms, none",
    "pairs",
    "GFLOP",
    "ATen calls",
    "peak MiB",
)


def main() -> None:
    options = _arguments()
    set_up_torch()
    workload = {"width": options.width, "size": options.size, "batch_size": options.batch_size}
    origin = provenance(["cpu"], 1, {f"noise, {IMAGES} images": noise_images(options.size).hash})
    result = {"workload": workload, "provenance": origin, "constraints": {}}
    result["none"] = counted(generation(NoConstraint(), **workload).discriminator_step)._asdict()
    result["constraints"] = _kept(options.out / "cost.json", result)
    for name in options.constraints:
        result["constraints"][name] = measure(name, options.pairs, workload)
        write(options.out, "cost", result, _title(workload), [HEADINGS, *_rows(result)])
    print(options.out / "table.md")


def measure(name: str, count: int, workload: dict[str, int]) -> dict[str, Any]:
    """Compare the discriminator step of the constraint called ``name``, at its defaults, with one of none."""
    baseline = generation(NoConstraint(), **workload)
    try:
        candidate = generation(METHODS[name](), **workload)
    except Refusal as reason:
        return {"refused": str(reason)}
    # On a task of its own: those that are timed draw the same batches.
    operations = counted(generation(METHODS[name](), **workload).discriminator_step)._asdict()
    made = pairs(baseline.discriminator_step, candidate.discriminator_step, count, warm_up=WARM_UP)
    return {**compared(watched(made, name, count)), "allowed": TARGETS.get(name), **operations}


def _rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    none = ("none", "1", *["-"] * 5, *_operations(result["none"]))
    return [none, *(_row(name, row) for name, row in sorted(result["constraints"].items()))]


def _row(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    if "refused" in row:
        return (name, row["refused"], *["-"] * (len(HEADINGS) - 2))
    return (
        name,
        f"{row['ratio']['median']:.3f}",
        interval(row["ratio"], 3),
        f"{row['allowed']:.2f}" if row["allowed"] else "-",
        f"{row['ms']['median']:.1f}",
        f"{row['ms_baseline']['median']:.1f}",
        str(row["ratio"]["n"]),
        *_operations(row),
    )


def _operations(row: dict[str, Any]) -> tuple[str, ...]:
    return f"{row['gflop']:.2f}", str(row["aten_calls"]), f"{row['peak_mib']:.1f}"


def _title(workload: dict[str, int]) -> str:
    return (
        "# Cost of a discriminator step\n\n"
        f"SN-GAN's standard CNN at width {workload['width']}, images 3x{workload['size']}x{workload['size']}, batch "
        f"{workload['batch_size']}, float32, one thread. A step is the task's own: it draws a batch, generates as many "
        "images, and updates the discriminator once. Median over interleaved pairs of steps, one with the constraint "
        "and one without, with the distribution-free 95 % interval of the median: compare milliseconds within a "
        "row, since rows were measured one after the other. GFLOP are those of convolutions and "
        "products with a matrix, FFTs aside; ATen calls are what a GPU run eagerly has to launch; peak MiB is what a "
        "step holds beyond what was held before it. torch_spectral_norm is torch's own parametrization."
    )


def _kept(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Return the rows that an earlier call measured under the same conditions."""
    try:
        earlier = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return earlier["constraints"] if same_conditions(earlier, result) else {}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time each constraint's discriminator step against that of none.")
    names = list(METHODS)
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--pairs", type=int, default=200, help="pairs of steps a constraint")
    parser.add_argument("--size", type=int, default=32, help="pixels along a side, a multiple of 8")
    parser.add_argument("--batch-size", type=int, default=64, help="real images a step, and as many generated ones")
    parser.add_argument("--constraints", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, default=Path("results/cost"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
