"""Count the CPU cores that this process may use."""

import os


def cpu_cores() -> int:
    """Return the number of cores on which the scheduler lets this process run; if unknown, all cores of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
