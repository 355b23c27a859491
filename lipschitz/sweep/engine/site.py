"""The site of a sweep: where and how its runs are made (devices, workers, data root, engine, checkpoint interval)."""

import platform
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from lipschitz.cpu import cpu_cores
from lipschitz.errors import InputError
from lipschitz.training.observers import Observer

ALLOWED = "allowed: auto, cpu, cuda, cuda:0, cuda:0,2"


@dataclass(frozen=True)
class Site:
    """Where and how runs are made. Not part of a run: on another site its id stays the same.

    The command line builds it once and hands it whole to the engine, and every `Job` holds it. A new setting of the
    site is a field here, an option of ``lipschitz sweep`` in `lipschitz.cli`, and the code that reads the field.
    """

    devices: tuple[str, ...]
    """Torch device of each worker."""
    data_root: Path | None = None
    """Folder of the data sets that are files; ``data`` where None."""
    inception_weights: Path | None = None
    """File of the weights of the FID's Inception network; the cached file where None."""
    pack: int | None = None
    """Runs that share a worker. None: on a GPU what the timing pass finds best, on a CPU one."""
    checkpoint_seconds: float | None = None
    """Longest time between two checkpoints of a run; `lipschitz.training.loop.CHECKPOINT_SECONDS` where None."""
    engine: str = "local"
    """Name of the engine, or ``path/to/file.py:ClassName``."""
    observers: tuple[Observer, ...] = ()
    """What watches the training of every run."""
    keep_checkpoints: bool = False
    """Whether the checkpoints of runs that are over stay, besides their networks."""
    chooses_workers: bool = False
    """Whether the timing pass may choose several workers for each GPU; else there are as many as ``devices`` names."""
    joins: bool = False
    """Whether other processes may make runs of the same sweep at the same time; see `lipschitz.sweep.joining`."""
    lease: float = 60.0
    """Seconds without a sign of life after which another process that joined is taken for lost."""
    timeout: float = 3600.0
    """Longest time in seconds without progress: of a slice of steps, an evaluation, or a part of the timing pass."""

    @property
    def workers(self) -> int:
        """Number of workers."""
        return len(self.devices)


def worker_devices(device: str, workers: int | None) -> tuple[str, ...]:
    """Return the torch device of each worker.

    Args:
        device: ``auto`` is every CUDA device, or the CPU where there is none.
        workers: their number; by default one a CUDA device, or one a CPU core.

    Raises:
        InputError: no such device.
    """
    devices = _devices(device)
    count = workers or (len(devices) if devices[0] != "cpu" else cpu_cores())
    return tuple(devices[index % len(devices)] for index in range(count))


def device_kind(device: str) -> str:
    """Return the type of a torch device and the model of the hardware, such as ``cuda: NVIDIA A100``."""
    if torch.device(device).type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu: {_cpu_model()}, {cpu_cores()} cores"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _devices(device: str) -> list[str]:
    if device == "cpu":
        return ["cpu"]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return [f"cuda:{index}" for index in range(count)] or ["cpu"]
    if not re.fullmatch(r"cuda(:\d+(,\d+)*)?", device):
        raise InputError(f"--device {device}: no such device; {ALLOWED}")
    if not count:
        raise InputError(f"--device {device}: torch {torch.__version__} finds no CUDA device here; allowed: auto, cpu")
    indices = [int(index) for index in device[5:].split(",")] if ":" in device else list(range(count))
    for index in indices:
        if index >= count:
            raise InputError(f"--device {device}: there is no device {index}; allowed: 0 to {count - 1}")
    return [f"cuda:{index}" for index in indices]
