"""What figures say where methods were not timed on one device: their seconds do not compare."""

from collections.abc import Iterable
from textwrap import fill

from lipschitz.report.plots.evidence import Evidence

_WIDTH = 100


def several_devices(evidence: Evidence, constraints: Iterable[str]) -> str:
    """Return which of the timed ``constraints`` were timed where; empty where all were on one device."""
    timed: dict[str, list[str]] = {}
    for name in constraints:
        if name in evidence.timings:
            timed.setdefault(str(evidence.timings[name].get("device", "unknown")), []).append(name)
    if len(timed) < 2:
        return ""
    where = "; ".join(f"{device} ({', '.join(names)})" for device, names in timed.items())
    return "\n" + fill(f"Timed on different devices, whose seconds do not compare: {where}.", _WIDTH)
