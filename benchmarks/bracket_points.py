"""Compare both bounds of Lip(D) with its exact value, for every method on points. See ``--help``.

    python benchmarks/bracket_points.py
    python benchmarks/bracket_points.py --runs results/catalogue

The discriminators are those of a sweep file's runs on points, after the last step: trained here, or read from
``networks.pt`` in the folder of the sweep's results. The bounds are those that a sweep records.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from result_files import write_result

from lipschitz.estimation.exact.constant import exact_constant
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.report.number_format import show
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance
from lipschitz.training.journal import json_values

LEAST_SHARE, MOST_SECONDS = 0.99, 5.0
"""The project's goals: lower bound over exact value, and seconds for the exact value of a network, on one core."""
HEADINGS = (
    *(
        "data",
        "method",
        "seed",
        "lower",
        "exact",
        "upper",
        "product",
        "lower / exact",
        "upper / exact",
        "product / exact",
    ),
    *("polygons", "seconds", "no exact value, because"),
)


def main() -> None:
    options = _arguments()
    set_up_torch()
    torch.set_num_threads(1)
    runs = [run for run in load_sweep(options.file).runs if run.model.kind == "points" and run.seed in options.seeds]
    jobs = [Job(run, options.runs or options.out, Site(("cpu",)), "cpu", {}) for run in runs]
    if options.runs:
        jobs = [job for job in jobs if job.folder.networks.exists()]
    if not jobs:
        raise SystemExit(f"error: {options.runs or options.file}: holds no network of points of these seeds")
    networks, data = [], {}
    for job in jobs:
        data[job.run.dataset.label()] = job.load().hash
        networks.append(measure(job, is_trained=options.runs is not None))
        print(" ".join(row(networks[-1])), flush=True)
    result = {
        "workload": {"file": str(options.file), "runs": str(options.runs or ""), "seeds": options.seeds},
        "goals": {"lower_over_exact": LEAST_SHARE, "seconds": MOST_SECONDS},
        "provenance": provenance(["cpu"], 1, data),
        "networks": [{key: _json(value) for key, value in one.items()} for one in networks],
    }
    text, rows = _text(options.file, networks), [HEADINGS, *map(row, networks)]
    write_result(options.out, "points", result, text, rows, table="points.md")
    print(options.out / "points.md")


def measure(job: Job, *, is_trained: bool) -> dict[str, Any]:
    """Return bounds, exact value and its cost of a run's discriminator after the last step."""
    task = job.build()
    if is_trained:
        saved = torch.load(job.folder.networks, weights_only=True)["last"]
        for name, net in task.networks().items():
            net.load_state_dict(saved[name])
    else:
        for step in range(job.steps):
            task.step(step / job.steps)
    values = task.evaluate(f"step {job.steps}")
    networks = task.networks()
    with float64_copy(networks.get("discriminator", networks.get("critic"))) as net:
        start = time.perf_counter()
        exact = exact_constant(net, job.load().shape)
        seconds = time.perf_counter() - start
    return {
        "dataset": job.run.dataset.label(),
        "method": " + ".join(constraint.label() for constraint in job.run.constraints),
        "seed": job.run.seed,
        "lower": values["lipschitz_lower"],
        "exact": exact.constant,
        "upper": values["lipschitz_upper"],
        "product": values["lipschitz_upper_product"],
        "polygons": exact.cells,
        "seconds": seconds,
        "reason": exact.reason,
    }


def row(network: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one network's row."""
    bounds = [network[name] for name in ("lower", "exact", "upper", "product")]
    ratios = [network[name] / network["exact"] for name in ("lower", "upper", "product")]
    return (
        *(network["dataset"], network["method"], str(network["seed"])),
        *(show(value) for value in [*bounds, *ratios]),
        *(f"{network['polygons']:,}", f"{network['seconds']:.2f}", network["reason"]),
    )


def _text(file: Path, networks: list[dict[str, Any]]) -> str:
    known = [one for one in networks if math.isfinite(one["exact"])]
    share = min((one["lower"] / one["exact"] for one in known), default=math.nan)
    seconds = max((one["seconds"] for one in known), default=math.nan)
    return (
        f"# Bounds of Lip(D) on points, over its exact value\n\nThe discriminators of `{file}` after the last step, in "
        "eval mode. Exact: the largest slope of all linear regions of the plane. Polygons: those that were examined. "
        "Upper: the certified bound that a sweep records. Product: that of single layers. The smallest lower / exact "
        f"is {show(share)}, where the goal is at least {LEAST_SHARE}. The exact value took at most {seconds:.2f} s of "
        f"one core, where the goal is {MOST_SECONDS:g} s."
    )


def _json(value: Any) -> Any:
    return json_values({"": value})[""] if isinstance(value, float) else value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare both bounds of Lip(D) on points with its exact value.")
    default = Path("benchmarks/catalogue.yaml")
    parser.add_argument("--file", type=Path, default=default, help="sweep file whose runs on points are measured")
    parser.add_argument("--runs", type=Path, help="its results folder, to read the networks from instead of training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of the runs")
    parser.add_argument("--out", type=Path, default=Path("results/bracket"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
