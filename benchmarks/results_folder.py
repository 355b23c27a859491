"""Measure CPU time and memory of ``lipschitz report`` and ``status`` on folders of synthetic runs. See ``--help``.

Each run has five evaluations of about thirty metrics, and the checksums that a sweep writes. CPU time and memory are of
the whole process, with imports.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from result_files import write_result

from lipschitz.checksums import sealed, sha256_of_file
from lipschitz.sweep.provenance import provenance
from lipschitz.sweep.run_folder import HASHES

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from synthetic import Plan, write_sweep

RUNS = (1_000, 10_000)
CONFIGURATIONS = 10
ALLOWED = {("report", 1_000): 8.0, ("report", 10_000): 30.0, ("status", 1_000): 1.0, ("status", 10_000): 3.0}
"""The project's goals in seconds of CPU time, by command and runs."""
ALLOWED_MIB = 600.0
CALLS = 3
HEADINGS = ("command", "runs", "CPU seconds, median of three", "allowed", "peak memory, MiB", "allowed")


class Used(NamedTuple):
    """What a process used."""

    seconds: float
    """Of CPU time, by the user and the system."""
    mib: float
    """Peak memory."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure report and status on synthetic runs.")
    parser.add_argument("--runs", type=int, nargs="+", default=RUNS, help="runs of a folder, a multiple of 10")
    parser.add_argument("--commands", nargs="+", default=("report", "status"), help="commands of lipschitz")
    parser.add_argument("--out", type=Path, default=Path("results/results_folder"), help="folder of the results")
    options = parser.parse_args()
    measured = {}
    for runs in options.runs:
        with tempfile.TemporaryDirectory() as folder:
            made = write_sweep(Path(folder) / "synthetic", Plan(seeds=range(runs // CONFIGURATIONS)))
            seal(made)
            for command in options.commands:
                calls = [used(command, made) for _ in range(CALLS)]
                measured[command, runs] = Used(median(call.seconds for call in calls), max(call.mib for call in calls))
    rows = [
        (
            command,
            f"{runs:,}",
            f"{by.seconds:.2f}",
            f"{ALLOWED.get((command, runs), '-')}",
            f"{by.mib:.0f}",
            f"{ALLOWED_MIB:g}",
        )
        for (command, runs), by in measured.items()
    ]
    result = {
        "measured": [{"command": command, "runs": runs, **by._asdict()} for (command, runs), by in measured.items()],
        "provenance": provenance(["cpu"], 1, {}),
    }
    write_result(options.out, "results_folder", result, "# Folders of synthetic runs", [HEADINGS, *rows])
    print(options.out / "table.md")


def seal(folder: Path) -> None:
    """Add the checksums of runs that are over, by which ``report`` and ``status`` notice damaged files."""
    for run in sorted((folder / "runs").iterdir()):
        hashes = {path.name: sha256_of_file(path) for path in (run / "records.jsonl", run / "samples.npz")}
        for name, more in (("run.json", {}), ("result.json", {HASHES: hashes})):
            content = {**json.loads((run / name).read_text("utf-8")), **more}
            (run / name).write_text(json.dumps(sealed(content, f"{run.name}/{name}"), indent=2), "utf-8")


MEASURE = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""
"""Run a command and print its exit code, CPU seconds and peak memory in MiB. Linux counts the memory of a process that
starts another as that of the other, so a small one must start it."""


def used(*arguments: object) -> Used:
    """Run ``lipschitz`` with arguments and return what it used."""
    command = [sys.executable, "-m", "lipschitz", *map(str, arguments)]
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], check=True, stdout=subprocess.PIPE)
    code, seconds, mib = json.loads(done.stdout)
    if code:
        raise subprocess.CalledProcessError(code, command)
    return Used(seconds, mib)


if __name__ == "__main__":
    main()
