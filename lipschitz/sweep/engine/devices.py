"""What ``--device`` and ``--workers`` mean: the slots that runs are given to."""

import re
from collections.abc import Iterable, Sequence

import torch

from lipschitz.cpu import cpu_cores
from lipschitz.errors import InputError
from lipschitz.tasks.precision import Precision, check_device

ALLOWED = "allowed: auto, cpu, cuda, cuda:0, cuda:0,2"


def slots(device: str, workers: int | None) -> list[str]:
    """Return the torch device of each worker.

    ``auto`` is every CUDA device, or the CPU where there is none. By default there is one worker a CUDA device, or one
    a CPU core.

    Raises:
        InputError: no such device.
    """
    devices = _devices(device)
    count = workers or (len(devices) if devices[0] != "cpu" else cpu_cores())
    return [devices[index % len(devices)] for index in range(count)]


def check_precisions(precisions: Iterable[Precision], found: Sequence[str]) -> None:
    """Refuse what one of the devices ``found`` cannot compute in.

    Raises:
        InputError: which precision, which device, and what is allowed.
    """
    for precision in dict.fromkeys(precisions):
        for slot in dict.fromkeys(found):
            check_device(precision, torch.device(slot))


def _devices(device: str) -> list[str]:
    if device == "cpu":
        return ["cpu"]
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return [f"cuda:{index}" for index in range(found)] or ["cpu"]
    if not re.fullmatch(r"cuda(:\d+(,\d+)*)?", device):
        raise InputError(f"--device {device}: no such device; {ALLOWED}")
    if not found:
        raise InputError(f"--device {device}: torch {torch.__version__} finds no CUDA device here; allowed: auto, cpu")
    chosen = [int(index) for index in device[5:].split(",")] if ":" in device else list(range(found))
    for index in chosen:
        if index >= found:
            raise InputError(f"--device {device}: there is no device {index}; allowed: 0 to {found - 1}")
    return [f"cuda:{index}" for index in chosen]
