"""Check on a device that a sweep is stopped and resumed, and survives a lack of memory, without losing anything.

``python benchmarks/sweep_checks.py stop --device cuda`` runs a small sweep, and once more with Ctrl-C in between;
``memory`` runs it with all but a little of a GPU's memory taken, and with runs of which no two fit on it. Both count
the records that were lost, doubled or changed against the undisturbed sweep. See ``--help``.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fault_injection.outcome import Outcome, compare, read_runs
from held_memory import SWITCH
from result_files import write_result

from lipschitz.sweep.provenance import provenance

SWEEP = """\
name: checked
task: generation
datasets: [{dataset}]
models: [{model}]
constraints: [{constraints}]
seeds: [0, 1]
training: {{steps: {steps}, batch_size: 16}}
evaluation: {{every: {every}, samples: 32, gradient_samples: 8}}
"""
HELD = 60.0
"""Seconds that a sweep may take until its first checkpoint."""
ROOT = Path(__file__).parents[1]
HEADINGS = ("what", "exit", "lost", "doubled", "changed", "largest relative change", "seconds")


def main() -> None:
    options = _arguments()
    options.out = options.out / options.check
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "checked.yaml"
    points = ("eight_gaussians", "{mlp: {width: 8, depth: 1}}")
    dataset, model = (
        points if options.check == "stop" or options.points else ("digits", f"{{dcgan: {{width: {options.width}}}}}")
    )
    held = [f'"{ROOT / "benchmarks" / "held_memory.py"}:HeldMemory"'] if options.check == "memory" else []
    constraints = ", ".join([*options.constraints, *held])
    terms = {"steps": options.steps, "every": max(1, options.steps // 3), "constraints": constraints}
    path.write_text(SWEEP.format(dataset=dataset, model=model, **terms))
    expected, found = options.out / "undisturbed", options.out / "disturbed"
    start = time.monotonic()
    if code := sweep(path, expected, options):
        raise SystemExit(f"the undisturbed sweep failed with exit code {code}")
    rows = [("undisturbed", "0", *["-"] * 4, f"{time.monotonic() - start:.1f}")]
    # The same timings, so that both share a device in the same way.
    shutil.copytree(expected / "timing", found / "timing", dirs_exist_ok=True)
    start = time.monotonic()
    code = CHECKS[options.check](path, found, options)
    ours, theirs = read_runs(expected), read_runs(found)
    outcome = Outcome()
    compare(ours, theirs, outcome)
    counts = (str(outcome.lost), str(outcome.doubled), str(outcome.changed))
    seconds = f"{time.monotonic() - start:.1f}"
    rows.append((options.check, str(code), *counts, f"{largest_change(ours, theirs):.1e}", seconds))
    result = {"workload": vars(options) | {"out": str(options.out)}, "provenance": provenance([options.device], 1, {})}
    title = f"# Check: {options.check}\n\nA small sweep; only records and results are compared, not times."
    write_result(options.out, options.check, result | {"rows": rows}, title, [HEADINGS, *rows])
    print(options.out / "table.md", rows[-1])
    if code or outcome.lost or outcome.doubled:
        raise SystemExit(1)


def sweep(
    path: Path, out: Path, options: argparse.Namespace, after: Callable[[Any], None] = lambda _: None, **given: str
) -> int:
    """Run ``lipschitz sweep`` to its end, and return its exit code.

    ``after`` is called with its process once it runs; ``given`` are environment variables.
    """
    command = [sys.executable, "-m", "lipschitz", "sweep", str(path), "--out", str(out), "--device", options.device]
    command += ["--no-report", "--workers", "1", "--pack", str(options.pack), "--checkpoint-seconds", "0.2"]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1", **given}) as process:
        after(process)
    return process.returncode


def stop(path: Path, out: Path, options: argparse.Namespace) -> int:
    """Stop a sweep by SIGINT once a run has a checkpoint, and run it again. Return the exit code of the second."""

    def interrupt(process: Any) -> None:
        end = time.monotonic() + HELD
        while time.monotonic() < end and process.poll() is None and not list(out.glob("runs/*/checkpoint.pt")):
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)

    stopped = sweep(path, out, options, interrupt)
    waiting = sum(not (run / "result.json").exists() for run in (out / "runs").glob("*"))
    print(f"stopped with exit code {stopped} (expected 130); {waiting} runs had begun and were not over")
    return sweep(path, out, options) if stopped == 128 + signal.SIGINT else 1


def memory(path: Path, out: Path, options: argparse.Namespace) -> int:
    """Run a sweep with ``options.mib`` of the device's memory left, and return its exit code; 1 if there was enough."""
    device = torch.device(options.device)
    free, _ = torch.cuda.mem_get_info(device)
    held = torch.empty(max(0, free - options.mib * 2**20), dtype=torch.uint8, device=device)
    print(f"{held.numel() / 2**20:.0f} MiB are held, about {options.mib} are left", flush=True)
    code = sweep(path, out, options, **{SWITCH: "1"})
    fewest = fewest_at_once(out)
    print(f"at the end {fewest} runs shared the device, {options.pack} at first", flush=True)
    return code or int(fewest == options.pack)


def fewest_at_once(out: Path) -> int:
    """Return the fewest runs that shared a device when a run of the folder was last begun."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in out.glob("runs/*/run.json")]
    return min(int(run["provenance"][-1]["runs_at_once"]) for run in runs)


CHECKS = {"stop": stop, "memory": memory}


def largest_change(expected: dict[str, Any], found: dict[str, Any]) -> float:
    """Return the largest change of a recorded value, relative to the larger of the two; 1 where there is no number."""
    largest = 0.0
    for name, run in expected.items():
        ours = dict(found.get(name, {"records": []})["records"])
        for key, value in run["records"]:
            if (other := ours.get(key)) != value:
                largest = max(largest, _relative(value, other))
    return largest


def _relative(one: str, other: str | None) -> float:
    try:
        first, second = float(one), float(other or "")
    except ValueError:
        return 1.0
    return abs(first - second) / max(abs(first), abs(second), 1e-30)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Check that a disturbed sweep loses nothing on a device.")
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0; memory needs a GPU")
    parser.add_argument("--steps", type=int, default=3000, help="iterations of a run")
    parser.add_argument("--width", type=int, default=32, help="channels of the networks on images")
    parser.add_argument("--points", action="store_true", help="train on points in both checks, to try the script")
    methods = ["none", "spectral_normalization"]
    parser.add_argument("--constraints", nargs="+", default=methods, metavar="NAME", help="two seeds of each are run")
    parser.add_argument("--pack", type=int, default=2, help="runs that share the device")
    parser.add_argument("--mib", type=int, default=1500, help="MiB that are left of the memory")
    parser.add_argument("--out", type=Path, default=Path("results/checks"), help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
