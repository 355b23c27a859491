"""Name a process so that another one on its machine can say for certain that it is gone, also once its id is reused."""

import os
from pathlib import Path


def identity(pid: int | None = None) -> str:
    """Return what names a process: boot, namespace of process ids, id, and when it started; by default this process.

    Empty where the system does not say, as outside of Linux, or where there is no such process.
    """
    pid = pid or os.getpid()
    start = _found(pid)[1]
    return f"{_here()} {pid} {start}" if start and _here() else ""


def is_gone(named: str) -> bool:
    """Return whether the process of an `identity` has certainly ended: False for one elsewhere."""
    return _state(named) == "gone"


def is_running(named: str) -> bool:
    """Return whether the process of an `identity` is on this machine, and is not stopped as by SIGSTOP."""
    return _state(named) == "running"


def _state(named: str) -> str:
    """Return ``gone``, ``stopped`` or ``running``; empty for a process of which nothing is known here."""
    here, _, start = named.rpartition(" ")
    here, _, pid = here.rpartition(" ")
    if not here or here != _here() or not pid.isdecimal():
        return ""
    state, began = _found(int(pid))
    if not state:
        return ""
    if began != start or state in "ZX":
        return "gone"
    return "stopped" if state in "Tt" else "running"


def _here() -> str:
    """Return the boot of this machine and the namespace of its process ids: containers of one machine have others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115  # pathlib would make it a path
    except (OSError, ValueError):
        return ""


def _found(pid: int) -> tuple[str, str]:
    """Return the letter of a process's state, and when it started, in clock ticks since the boot.

    ("X", "") if the process is gone, ("", "") if nothing can be read of it, as where processes of others are hidden.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "X" if _is_absent(pid) else "", ""
    return (fields[0], fields[19]) if len(fields) > 19 else ("X", "")


def _is_absent(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
