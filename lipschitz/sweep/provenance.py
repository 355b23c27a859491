"""The provenance of a measurement: commit, command, date, versions, device, kernels, hashes of the data."""

import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lipschitz import __version__
from lipschitz.checksums import SHOWN
from lipschitz.sweep.engine.site import device_kind

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib")


def provenance(
    devices: Iterable[str], workers: int, data: Mapping[str, str], warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what a reader needs to judge and repeat a measurement.

    Args:
        devices: of the workers.
        workers: number of them.
        data: SHA-256 of each data set.
        warnings: of the data sets.
    """
    return {
        **_commit(),
        "command": command_in_words(sys.argv),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": devices_and_workers(devices, workers),
        "versions": {"lipschitz": __version__, "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "os": platform.platform(),
        "kernels": kernels(),
        "data": dict(data),
        **({"warnings": [*warnings]} if warnings else {}),
    }


def command_in_words(argv: Sequence[str]) -> str:
    """Return a command as it is typed, without the places of one machine.

    Of an absolute path, and of one that begins with ``..``, only the last name is kept: ``.../data``.
    """
    program = Path(argv[0])
    is_module = program.name == "__main__.py" and program.parent.name == "lipschitz"
    return shlex.join(["lipschitz" if is_module else program.name, *map(_without_place, argv[1:])])


def _without_place(argument: str) -> str:
    option, equals, value = argument.rpartition("=") if argument.startswith("--") else ("", "", argument)
    path = Path(value)
    return f"{option}{equals}.../{path.name}" if path.is_absolute() or path.parts[:1] == ("..",) else argument


def code_in_words() -> str:
    """Return which code this is, such as ``lipschitz 0.1.0 at commit 0123456789ab with changes``."""
    found = _commit()
    at = f" at commit {found['commit'][:SHOWN]}" if found["commit"] else ""
    return f"lipschitz {__version__}{at}{' with changes' if found['dirty'] else ''}"


def _commit() -> dict[str, Any]:
    """Return the commit of the code, and whether the code is another; both are None where there is no checkout."""
    commit = _git("rev-parse", "HEAD")
    # A new file in the package, such as a method, is code, too.
    changes = _git("status", "--porcelain", "--", "lipschitz", "benchmarks", "pyproject.toml") if commit else None
    return {"commit": commit, "dirty": bool(changes) if commit else None}


def kernels() -> dict[str, Any]:
    """Return which kernels torch uses on this processor: sums in AVX2 and in AVX-512 differ in their last bits."""
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "mkldnn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
        "blas": blas[1] if blas else None,
    }


def kernels_changed(origins: Sequence[Mapping[str, Any]], now: Mapping[str, Any]) -> str | None:
    """Return how the kernels of a resumed run differ from those of its last process; None where they do not.

    Args:
        origins: provenance of the processes that have trained the run so far.
        now: that of the process that resumes it.
    """
    before = origins[-1].get("kernels") if origins else None
    if not before or before == now.get("kernels"):
        return None
    return f"trained with kernels {_words(before)} so far, and from here with {_words(now.get('kernels'))}"


def _words(found: Any) -> str:
    return ", ".join(f"{key} {value}" for key, value in found.items()) if isinstance(found, Mapping) else str(found)


def devices_and_workers(devices: Iterable[str], workers: int) -> str:
    """Return the kinds of the workers' devices, and the number of workers, in words."""
    kinds = ", ".join(sorted({device_kind(device) for device in devices}))
    return f"{kinds}; {workers} {'worker' if workers == 1 else 'workers'} of one thread"


def _git(*arguments: str) -> str | None:
    """Return the output of git in the package's own checkout, or None where it is none."""
    top = Path(__file__).parents[2]
    if not (top / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(top), *arguments], capture_output=True, encoding="utf-8", errors="replace", check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
