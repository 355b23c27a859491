"""Measure the cost of each constraint in a discriminator step: time, operations and memory. See ``--help``.

A network with the constraint and one without are trained in turn on the same batches, in one process of one thread.
Results are written after each constraint, so an interrupted measurement keeps its rows. With ``--constraints`` the rows
of the other constraints are kept if commit, device and workload are the same.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from operation_counts import count_operations
from other_spectral_norms import TorchSpectralNorm
from paired_timing import interval, medians, show_progress, timed_pairs
from result_files import earlier_result, write_result
from workload import IMAGES, dcgan_training, noise_images

from lipschitz.constraints.base import CONSTRAINTS, Refusal
from lipschitz.constraints.none import NoConstraint
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance

TARGETS = {
    "weight_clipping": 1.03,
    "spectral_regularization": 1.06,
    "spectral_normalization": 1.02,
    "gradient_penalty": 2.1,
}
"""The project's goals: largest ratio to a step without constraint, at width 64 and batch 64."""
WARM_UP = 5
LONGEST = 30.0
"""Seconds of CPU time of a step above which it is not timed in pairs; its row has that of one step."""
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
    result["none"] = count_operations(dcgan_training(NoConstraint(), **workload).discriminator_step)._asdict()
    if earlier := earlier_result(options.out / "cost.json", result):
        result["constraints"] = earlier["constraints"]
    for name in options.constraints:
        result["constraints"][name] = measure(name, options.pairs, workload)
        write_result(options.out, "cost", result, _title(workload), [HEADINGS, *_rows(result)])
    print(options.out / "table.md")


def measure(name: str, count: int, workload: dict[str, int]) -> dict[str, Any]:
    """Compare a discriminator step with the constraint ``name``, at its defaults, with a step without constraint."""
    baseline = dcgan_training(NoConstraint(), **workload)
    try:
        candidate = dcgan_training(METHODS[name](), **workload)
    except Refusal as reason:
        return {"refused": str(reason)}
    # On another task, so that the two timed tasks draw the same batches.
    trial = dcgan_training(METHODS[name](), **workload)
    operations = count_operations(trial.discriminator_step)._asdict()
    # CPU time: other processes do not add to it.
    start = time.process_time()
    trial.discriminator_step()
    if (seconds := time.process_time() - start) > LONGEST:
        return {"seconds_of_one_step": seconds, **operations}
    pairs = timed_pairs(baseline.discriminator_step, candidate.discriminator_step, count, warm_up=WARM_UP)
    return {**medians(show_progress(pairs, name, count)), "allowed": TARGETS.get(name), **operations}


def _rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    none = ("none", "1", *["-"] * 5, *_operations(result["none"]))
    return [none, *(_row(name, row) for name, row in sorted(result["constraints"].items()))]


def _row(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    if "refused" in row:
        return (name, row["refused"], *["-"] * (len(HEADINGS) - 2))
    if (seconds := row.get("seconds_of_one_step")) is not None:
        why = f"not measured: one step takes {seconds:.0f} s of CPU time"
        return (name, why, *["-"] * (len(HEADINGS) - 5), *_operations(row))
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
        f"{workload['batch_size']}, float32, one thread. A step draws a batch, generates as many images, and updates "
        "the discriminator once. Each row is a median over interleaved pairs of steps, one with the constraint and one "
        "without, with the distribution-free 95 % interval of the median. Compare milliseconds within a row only: rows "
        "were measured one after the other. GFLOP count convolutions and matrix products, but not FFTs. ATen calls are "
        "the kernels that a GPU launches without CUDA graphs. Peak MiB is the memory that a step adds. "
        "torch_spectral_norm is torch's own parametrization."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time each constraint's discriminator step against that of none.")
    names = list(METHODS)
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--pairs", type=int, default=200, help="pairs of steps for each constraint")
    parser.add_argument("--size", type=int, default=32, help="pixels along a side, a multiple of 8")
    parser.add_argument("--batch-size", type=int, default=64, help="real images in a step, and as many generated ones")
    parser.add_argument("--constraints", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, default=Path("results/cost"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
