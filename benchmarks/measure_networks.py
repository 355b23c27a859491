"""Measure public discriminators and classifiers, each in a process of its own with a limit of time and memory."""

import argparse
import json
import math
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from networks import PUBLIC_NETWORKS
from result_files import write_result

from lipschitz.commands.measure import without_repetition
from lipschitz.errors import first_line
from lipschitz.estimation.measure import Measurement, measure
from lipschitz.sweep.process import set_up_torch
from lipschitz.sweep.provenance import provenance

HEADINGS = ("network", "parameters", "at least", "at most", "at most, product", "CPU seconds", "peak memory", "notes")
SHOWN_NOTES = 3
"""Most notes of a network in the table; the JSON file has all."""


def main() -> None:
    options = _arguments()
    if options.one:
        print(json.dumps(_measured(options.one, options.seconds, options.gigabytes)))
        return
    result: dict[str, Any] = {
        "workload": {"seconds": options.seconds, "gigabytes": options.gigabytes},
        "provenance": provenance(["cpu"], 1, {}),
        "networks": {},
    }
    for name in options.networks:
        result["networks"][name] = row = _in_process(name, options.seconds, options.gigabytes)
        print(f"{name}: {_notes(row) if 'error' in row else _bracket(row)}", flush=True)
        rows = [HEADINGS, *(_cells(name, row) for name, row in result["networks"].items())]
        write_result(options.out, "networks", result, _title(options), rows, "networks.md")
    print(options.out / "networks.md")


def _measured(name: str, seconds: int, gigabytes: float) -> dict[str, Any]:
    """Measure one network in this process, which a signal ends after ``seconds`` of CPU time."""
    set_up_torch()
    network = PUBLIC_NETWORKS[name]
    net = network.build()
    row: dict[str, Any] = {
        "shape": network.shape,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
    }
    size = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    start, parts = time.process_time(), dict[str, float]()

    def progress(part: str) -> None:
        parts[part] = time.process_time() - start

    try:
        row |= _values(measure(net, network.shape, progress=progress))
    except Exception as error:  # Whatever the measurement raises is its result.
        row["error"] = first_line(error, with_type=True)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return row | {"cpu_seconds": time.process_time() - start, "began": parts, "peak_bytes": _peak_bytes()}


def _values(measurement: Measurement) -> dict[str, Any]:
    values = {
        "lower": measurement.lower,
        "upper": measurement.upper,
        "upper_product": measurement.product,
    }
    finite = {key: value if value is not None and math.isfinite(value) else None for key, value in values.items()}
    return {**finite, "layers": len(measurement.layers), "reasons": list(measurement.reasons)}


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _in_process(name: str, seconds: int, gigabytes: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", name, "--seconds", str(seconds), "--gigabytes", str(gigabytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return row
    if done.returncode == -signal.SIGPROF:
        return {"error": f"not measured in {seconds} s of CPU time"}
    last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    return {"error": last[0]}


def _bracket(row: dict[str, Any]) -> str:
    return f"{_number(row['lower'])} to {_number(row['upper'])}, {row['cpu_seconds']:.1f} s"


def _cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    seconds = f"{row['cpu_seconds']:.1f}" if "cpu_seconds" in row else "-"
    memory = f"{row['peak_bytes'] / 2**30:.1f} GiB" if "peak_bytes" in row else "-"
    parameters = f"{row['parameters']:,}" if "parameters" in row else "-"
    if "error" in row:
        return (name, parameters, "-", "-", "-", seconds, memory, _notes(row))
    product = _number(row["upper_product"]) if row["upper_product"] is not None else "-"
    return (name, parameters, _number(row["lower"]), _number(row["upper"]), product, seconds, memory, _notes(row))


def _number(value: float | None) -> str:
    return "∞" if value is None else f"{value:.3g}"


def _notes(row: dict[str, Any]) -> str:
    if "error" in row:
        return row["error"].replace("|", "\\|")
    reasons = without_repetition(row["reasons"])
    more = [f"and {len(reasons) - SHOWN_NOTES} more"] if len(reasons) > SHOWN_NOTES else []
    return "; ".join([*reasons[:SHOWN_NOTES], *more]).replace("|", "\\|")


def _title(options: argparse.Namespace) -> str:
    return (
        "# Public networks measured\n\n"
        "Discriminators written after their papers, and torchvision's classifiers, with random weights; images of "
        f"3x64x64 unless their papers say otherwise. Each is measured in a process of its own, by one thread, with a "
        f"limit of {options.seconds} s of CPU time and {options.gigabytes:g} GiB. The peak memory includes torch. "
        "Notes say why an upper end is infinite, and under which conditions the values hold."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure public discriminators and classifiers.")
    parser.add_argument(
        "--networks", nargs="+", choices=PUBLIC_NETWORKS, default=list(PUBLIC_NETWORKS), metavar="NAME", help="which"
    )
    parser.add_argument("--seconds", type=int, default=60, help="limit of the CPU time of one network")
    parser.add_argument("--gigabytes", type=float, default=4, help="limit of the memory of one network, in GiB")
    parser.add_argument("--out", type=Path, default=Path("results/bracket"), help="folder of the results")
    parser.add_argument("--one", choices=PUBLIC_NETWORKS, metavar="NAME", help="print one network's values as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
