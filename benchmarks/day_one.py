"""Check and measure the project on a GPU that it has not run on yet, in ten minutes. See ``--help``.

Parts run one after the other, each in a process of its own with a time limit and a log: versions, the tests that need a
GPU, captured against launched steps and the speed table at width 64, kernels and layouts by precision, the parts of an
evaluation, a lack of memory, and a sweep that is stopped and resumed. A part may use the time that the parts before it
left. The table is written again after each part, so that a call that is cut off leaves what it has.

    python benchmarks/day_one.py --minutes 10 --out day_one

It needs torch and the packages that come with most GPU images. Others are installed, for this call alone, from a folder
of wheels (``--wheels``): those of `WHEELS`.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
WHEELS = (
    "annotated-types",
    "pydantic",
    "pydantic-core",
    "pypdfium2",
    "pytorch-fid",
    "ruamel.yaml",
    "typing-extensions",
    "typing-inspection",
)
"""What a machine with torch, torchvision, pandas, matplotlib, scikit-learn, typer and rich still needs."""
VERSIONS = """
import platform, sys, importlib.metadata as metadata, torch
print("python", platform.python_version(), "on", platform.platform())
for name in ("torch", "torchvision", "numpy", "scipy", "pandas", "matplotlib", "pydantic", "pytest", "pytest-xdist"):
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        print(name, "is not installed")
print("CUDA", torch.version.cuda, "cuDNN", torch.backends.cudnn.version())
for index in range(torch.cuda.device_count()):
    print(f"cuda:{index}", torch.cuda.get_device_properties(index))
if sys.argv[1] != "cpu":
    print("sum of ones", float(torch.ones(1000, device=sys.argv[1]).sum()), "(expected 1000)")
import lipschitz.cli
"""
FIVE = ("none", "weight_clipping", "gradient_penalty", "spectral_regularization", "spectral_normalization")
LEAST = 5.0
"""Seconds below which a part is not started."""


class Part(NamedTuple):
    """A part: its command, and its share of the time."""

    name: str
    share: float
    command: Sequence[str]


class Outcome(NamedTuple):
    """How a part ended."""

    name: str
    ended: str
    seconds: float
    last: str
    """The last line of its log."""


def main() -> None:
    options = _arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    # Parts run in the project's folder.
    options.out = options.out.resolve()
    start = time.monotonic()
    with TemporaryDirectory(prefix="day_one-") as site:
        given = {"PYTHONPATH": install(options.wheels, site), "PYTHONUNBUFFERED": "1"}
        run_all(options, start, {"OMP_NUM_THREADS": "1", **os.environ, **given})
    print((options.out / "day_one.md").read_text(encoding="utf-8"))


def install(wheels: Path | None, site: str) -> str:
    """Install `WHEELS` from the folder ``wheels``, where one is given, into the folder ``site``.

    Returns:
        The PYTHONPATH with which a process finds them and this project.
    """
    if wheels:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
        subprocess.run([*pip, "--find-links", str(wheels), "--target", site, *WHEELS], check=True)
    return os.pathsep.join(filter(None, [str(ROOT), site, os.environ.get("PYTHONPATH", "")]))


def run_all(options: argparse.Namespace, start: float, environment: Mapping[str, str]) -> None:
    """Run the parts that are wanted; ``start`` is when the time began to count."""
    outcomes: list[Outcome] = []
    planned = [part for part in parts(options) if not options.parts or part.name in options.parts]
    whole, passed = sum(part.share for part in planned), 0.0
    for part in planned:
        passed += part.share
        end = start + 60 * options.minutes * passed / whole
        outcomes.append(run(part, end - time.monotonic(), options.out / f"{part.name}.log", environment))
        write(options, outcomes, [other.name for other in planned[len(outcomes) :]])


def parts(options: argparse.Namespace) -> list[Part]:
    """Return all parts in their order."""
    device, out = ["--device", options.device], options.out
    on_gpu = options.device != "cpu"
    tests = ["-m", "gpu", "-n", "4", "--dist", "worksteal", "-q", "-p", "no:cacheprovider"]
    small = ["--widths", "4", "--size", "8", "--batch-size", "4", "--repeats", "2", "--seconds", "0.05", "--side", "64"]
    small += ["--constraints", "none"]
    narrow = ["--width", "4", "--size", "8", "--batch-size", "4", "--repeats", "2", "--constraints", "none"]
    few = ["--width", "4", "--images", "60"]

    def script(name: str, *arguments: str, of_small: Sequence[str] = ()) -> list[str]:
        path = str(ROOT / "benchmarks" / f"{name}.py")
        return [sys.executable, path, *device, *arguments, *(of_small if options.small else ())]

    # Its table and figures are written after its time.
    speed = ["--widths", "64", "--minutes", f"{options.minutes * 0.12:g}", "--out"]
    check = ["--out", str(out / "checks")]
    found = [
        Part("versions", 3, [sys.executable, "-c", VERSIONS, options.device]),
        Part("tests", 22, [sys.executable, "-m", "pytest", *tests, *gpu_tests(small=options.small)]),
        # First whether captured iterations equal launched ones, for all methods; then the times of some.
        Part("captured", 14, script("speed", *speed, str(out / "captured"), of_small=small)),
        Part("speed", 14, script("speed", *speed, str(out / "speed"), "--constraints", *FIVE, of_small=small)),
        Part("layouts", 13, script("layouts", "--out", str(out / "layouts"), of_small=narrow)),
        Part("evaluation", 12, script("evaluation", "--out", str(out / "evaluation"), of_small=few)),
        Part(
            "memory",
            10,
            script(
                "sweep_checks",
                "memory",
                *check,
                "--pack",
                "8",
                of_small=["--steps", "30", "--constraints", "none", "--points"],
            ),
        ),
        Part("stop", 14, script("sweep_checks", "stop", *check, of_small=["--steps", "60", "--constraints", "none"])),
    ]
    return [part for part in found if on_gpu or part.name not in ("tests", "memory")]


def gpu_tests(*, small: bool) -> list[str]:
    """Return the test files with tests that need a GPU; others may import packages that are not there."""
    marked = [
        str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text("utf-8")
    ]
    return [path for path in marked if "test_precision" in path] if small else marked


def run(part: Part, seconds: float, log: Path, environment: Mapping[str, str]) -> Outcome:
    """Run a part until it ends, or for ``seconds``; its output goes to ``log``."""
    if seconds < LEAST:
        return Outcome(part.name, "no time left", 0.0, "")
    print(f"{part.name}: at most {seconds:.0f} s, {log}", flush=True)
    start = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        # A group of its own, so that its workers end with it.
        process = subprocess.Popen(
            part.command,
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
            ended = "yes" if code == 0 else f"failed, exit code {code}"
        except subprocess.TimeoutExpired:
            ended = "cut off at its limit"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return Outcome(part.name, ended, time.monotonic() - start, lines[-1] if lines else "")


def write(options: argparse.Namespace, outcomes: Sequence[Outcome], left: Sequence[str]) -> None:
    """Write the table of parts, and the archive where one is wanted."""
    rows = [
        f"| {one.name} | {one.ended} | {one.seconds:.0f} | {one.last[:150].replace('|', '/')} |" for one in outcomes
    ]
    rows += [f"| {name} | not yet | | |" for name in left]
    simulated = bool(os.environ.get("LIPSCHITZ_SIMULATED_DEVICE"))
    reasons = [why for why, holds in (("tiny networks", options.small), ("a simulated device", simulated)) if holds]
    lines = [
        "# First checks on a device",
        "",
        *([f"Times mean nothing: {', '.join(reasons)}.", ""] if reasons else []),
        "| part | ended | seconds | last line of its log |",
        "| --- | --- | --- | --- |",
    ]
    found = [f"- [{path.relative_to(options.out)}]({path.relative_to(options.out)})" for path in _tables(options.out)]
    text = "\n".join([*lines, *rows, "", *found, ""])
    # Replaced at once: a call may be cut off while it writes.
    temporary = options.out / "day_one.md.new"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(options.out / "day_one.md")
    if options.archive:
        made = shutil.make_archive(f"{options.archive}.new", "gztar", options.out)
        Path(made).replace(options.archive)


def _tables(out: Path) -> list[Path]:
    return [path for path in sorted(out.rglob("*.md")) if path.name != "day_one.md" and "runs" not in path.parts]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Check and measure the project on a GPU for the first time.")
    parser.add_argument("--minutes", type=float, default=10, help="time limit of all parts together")
    parser.add_argument("--out", type=Path, default=Path("day_one"), help="folder of logs and results")
    parser.add_argument("--archive", type=Path, help="a .tar.gz of that folder, written again after each part")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:0, or cpu, which leaves out tests and memory")
    parser.add_argument("--wheels", type=Path, help=f"folder of wheels to install from: {', '.join(WHEELS)}")
    parser.add_argument("--parts", nargs="+", metavar="NAME", help="these parts only")
    parser.add_argument("--small", action="store_true", help="tiny networks, to try the script; times mean nothing")
    return parser.parse_args()


if __name__ == "__main__":
    # So that the part that runs is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    main()
