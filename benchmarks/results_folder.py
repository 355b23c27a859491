"""Time ``lipschitz report`` and ``lipschitz status`` on a folder of 1,000 synthetic runs. See ``--help``.

Each run has five evaluations of about thirty metrics. The time is that of the whole process, imports included.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from result_files import write_result

from lipschitz.sweep.provenance import provenance

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from synthetic import Plan, write_sweep

ALLOWED = {"report": 10.0, "status": 1.0}
"""The project's goal in seconds, for 1,000 runs."""
CALLS = 3
HEADINGS = ("command", "seconds, median of three", "allowed")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time report and status on synthetic runs.")
    parser.add_argument("--seeds", type=int, default=100, help="seeds of each of the 10 configurations")
    parser.add_argument("--out", type=Path, default=Path("results/results_folder"), help="folder of the results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = write_sweep(Path(folder) / "synthetic", Plan(seeds=range(options.seeds)))
        seconds = {command: median(elapsed(command, made) for _ in range(CALLS)) for command in ALLOWED}
    result = {"runs": 10 * options.seeds, "seconds": seconds, "provenance": provenance(["cpu"], 1, {})}
    rows = [(command, f"{value:.2f}", f"{ALLOWED[command]:g}") for command, value in seconds.items()]
    write_result(options.out, "results_folder", result, f"# {10 * options.seeds} synthetic runs", [HEADINGS, *rows])
    print(options.out / "table.md")


def elapsed(command: str, folder: Path) -> float:
    """Run ``lipschitz <command> <folder>`` and return the seconds."""
    start = time.perf_counter()
    arguments = [sys.executable, "-m", "lipschitz", command, str(folder)]
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
