"""Time ``report`` and ``status`` on a folder of 1,000 synthetic runs: ``python benchmarks/results_folder.py --help``.

Each run has five evaluations of about thirty metrics. Both commands are timed as a user waits for them: the whole
process, imports included.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from paired import write

from lipschitz.sweep.provenance import provenance

sys.path.append(str(Path(__file__).parents[1] / "tests" / "report"))
from synthetic import Plan, write_sweep

ALLOWED = {"report": 10.0, "status": 1.0}
"""Seconds that the project allows itself for 1,000 runs."""
CALLS = 3
HEADINGS = ("command", "seconds, median of three", "allowed")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time report and status on synthetic runs.")
    parser.add_argument("--seeds", type=int, default=100, help="seeds of each of 10 configurations")
    parser.add_argument("--out", type=Path, default=Path("results/results_folder"), help="folder of the results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = write_sweep(Path(folder) / "synthetic", Plan(seeds=range(options.seeds)))
        seconds = {command: median(elapsed(command, made) for _ in range(CALLS)) for command in ALLOWED}
    result = {"runs": 10 * options.seeds, "seconds": seconds, "provenance": provenance(["cpu"], 1, {})}
    rows = [(command, f"{value:.2f}", f"{ALLOWED[command]:g}") for command, value in seconds.items()]
    write(options.out, "results_folder", result, f"# {10 * options.seeds} synthetic runs", [HEADINGS, *rows])
    print(options.out / "table.md")


def elapsed(command: str, folder: Path) -> float:
    """Return the seconds that ``lipschitz <command> <folder>`` takes."""
    start = time.perf_counter()
    arguments = [sys.executable, "-m", "lipschitz", command, str(folder)]
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
