"""How many CPU cores this process may use."""

import os


def cpu_cores() -> int:
    """Return the number of cores that the scheduler lets this process run on; all of the machine's if it cannot say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
