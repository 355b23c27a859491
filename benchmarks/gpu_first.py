"""Run ``gpu_first.yaml`` on a GPU for some minutes, and report what is finished then. See ``--help``.

``python benchmarks/gpu_first.py --minutes 10 --data-root data`` is ``lipschitz sweep``, stopped before the end of its
time as by Ctrl-C, and then ``lipschitz report``. The same call again continues every run from its checkpoint. Further
options are those of ``lipschitz sweep``.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from day_one import install

ROOT = Path(__file__).parents[1]
REPORT_SHARE = 0.15
"""Of the time, for the report."""
STOPPED = (0, 1, 128 + signal.SIGINT)
"""Exit codes of a sweep that can be reported: finished, some runs failed, stopped."""


def main() -> None:
    options, further = _arguments()
    start = time.monotonic()
    with TemporaryDirectory(prefix="gpu_first-") as site:
        os.environ["PYTHONPATH"] = install(options.wheels, site)
        raise SystemExit(sweep_and_report(options, further, start))


def sweep_and_report(options: argparse.Namespace, further: list[str], start: float) -> int:
    """Run the sweep until the report must begin, then the report; return the exit code."""
    lipschitz = [sys.executable, "-m", "lipschitz"]
    sweep = ["sweep", str(ROOT / "benchmarks" / "gpu_first.yaml"), "--out", str(options.out), "--no-report"]
    given = ["--device", options.device, "--workers", str(options.workers), "--checkpoint-seconds", "30"]
    with subprocess.Popen([*lipschitz, *sweep, *given, *further]) as process:
        try:
            process.wait(60 * options.minutes * (1 - REPORT_SHARE))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
    print(f"sweep: exit code {process.returncode} after {time.monotonic() - start:.0f} s", flush=True)
    if process.returncode not in STOPPED:
        return process.returncode
    subprocess.run([*lipschitz, "status", str(options.out)], check=False)
    return subprocess.run([*lipschitz, "report", str(options.out)], check=False).returncode


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description="Run the first sweep on a GPU for some minutes, and report it.")
    parser.add_argument("--minutes", type=float, default=10, help="time limit, the report included")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:0 or cpu")
    parser.add_argument("--workers", type=int, default=4, help="processes: one trains while another evaluates")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to install from, as for day_one.py")
    parser.add_argument("--out", type=Path, default=Path("results/gpu_first"), help="folder of the results")
    return parser.parse_known_args()


if __name__ == "__main__":
    main()
