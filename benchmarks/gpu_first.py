"""Run ``gpu_first.yaml`` on a GPU for some minutes, and report what is finished then. See ``--help``.

``python benchmarks/gpu_first.py --minutes 10 --data-root data`` is ``lipschitz sweep``, stopped before the end of its
time as by Ctrl-C, and then ``lipschitz report``. The same call again continues every run from its checkpoint, also
where the first was killed. Further options are those of ``lipschitz sweep``.
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

SWEEP = Path(__file__).with_suffix(".yaml")
REPORT_SHARE = 0.15
"""Of the time, for the sweep to stop, and for the report."""
STOPPED = (0, 1, 128 + signal.SIGINT, -signal.SIGKILL)
"""Exit codes of a sweep that can be reported: finished, some runs failed, stopped, killed because it did not stop."""


def main() -> None:
    options, further = _arguments()
    start = time.monotonic()
    with TemporaryDirectory(prefix="gpu_first-") as site:
        os.environ["PYTHONPATH"] = install(options.wheels, site)
        raise SystemExit(sweep_and_report(options, further, start))


def sweep_and_report(options: argparse.Namespace, further: list[str], start: float) -> int:
    """Run the sweep until the report must begin, then the report; return the exit code."""
    lipschitz = [sys.executable, "-m", "lipschitz"]
    sweep = ["sweep", str(options.sweep), "--out", str(options.out), "--no-report"]
    given = ["--device", options.device, "--workers", str(options.workers), "--checkpoint-seconds", "30"]
    with subprocess.Popen([*lipschitz, *sweep, *given, *further]) as process:
        seconds = 60 * options.minutes
        try:
            process.wait(start + seconds * (1 - REPORT_SHARE) - time.monotonic())
        except subprocess.TimeoutExpired:
            stop(process, seconds * REPORT_SHARE / 2)
        except SystemExit:
            process.send_signal(signal.SIGINT)
            raise
    print(f"sweep: exit code {process.returncode} after {time.monotonic() - start:.0f} s", flush=True)
    if process.returncode not in STOPPED:
        return process.returncode
    subprocess.run([*lipschitz, "status", str(options.out)], check=False)
    return subprocess.run([*lipschitz, "report", str(options.out)], check=False).returncode


def stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Stop a sweep as by Ctrl-C, which saves its runs; kill it where that takes longer than ``seconds``."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description="Run the first sweep on a GPU for some minutes, and report it.")
    parser.add_argument("--minutes", type=float, default=10, help="time limit, the report included")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:0 or cpu")
    parser.add_argument("--workers", type=int, default=4, help="processes: one trains while another evaluates")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to install from, as for day_one.py")
    parser.add_argument(
        "--sweep", type=Path, default=SWEEP, metavar="FILE", help="another sweep file, to try the script"
    )
    parser.add_argument("--out", type=Path, default=Path("results/gpu_first"), help="folder of the results")
    return parser.parse_known_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    main()
