"""Where numbers come from: commit, versions, device, data."""

import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lipschitz.cpu import cpu_cores

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib")


def provenance(devices: Iterable[str], workers: int, data: Mapping[str, str]) -> dict[str, Any]:
    """Return what a reader needs to judge and repeat a measurement; ``data`` maps each data set to its SHA-256."""
    commit = _git("rev-parse", "HEAD")
    return {
        "commit": commit,
        # What counts is whether the code is as committed; a new file in the package, a method say, is code.
        "dirty": bool(_git("status", "--porcelain", "--", "lipschitz", "benchmarks", "pyproject.toml"))
        if commit
        else None,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": f"{', '.join(sorted({device_name(device) for device in devices}))}; {_workers(workers)}",
        "versions": {"lipschitz": version("lipschitz"), "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "data": dict(data),
    }


def device_name(device: str) -> str:
    """Return the kind of a torch device and the model behind it."""
    if torch.device(device).type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu: {_cpu_model()}, {cpu_cores()} cores"


def _workers(count: int) -> str:
    return f"{count} {'worker' if count == 1 else 'workers'} of one thread"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _git(*arguments: str) -> str | None:
    """Return what git says of the package's own checkout, or None where it is not one."""
    top = Path(__file__).parents[2]
    if not (top / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(top), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
