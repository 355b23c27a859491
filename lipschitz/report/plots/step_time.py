"""What a training step takes: a bar a constraint for the discriminator's step, and one for the generator's."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.panels import panels
from lipschitz.report.style import GREY
from lipschitz.report.tasks import wording

_DISCRIMINATOR, _GENERATOR = "ms_discriminator_step", "ms_generator_step"
_ROW = 0.3
"""Inches between two methods."""
_BAR = 0.36
"""Height of a bar, in rows."""


def step_time(evidence: Evidence) -> Figure | None:
    """Return the milliseconds of a step by constraint, in the fixed order, of the serial timing pass.

    The order is that of all figures, since methods closer than the noise would change places from one pass to the next.
    The text says by which factor a discriminator step is longer than that without a constraint on the same device.
    """
    timings = {name: evidence.timings[name] for name in evidence.constraints if name in evidence.timings}
    if not timings:
        return None
    task, none = wording(evidence.comparison.task), evidence.timings.get("none")
    timed = [part for part in (_DISCRIMINATOR, _GENERATOR) if part in task.timed]
    title = f"Time of a step  ·  {evidence.title}"
    size = (4.6, _ROW * len(timings) + 0.1)
    left = 0.25 + 0.066 * max(map(len, timings))
    figure, (axes,) = panels(1, 1, title, _said(evidence, timed, task.network), size=size, left=left, right=0.9)
    widest = max(_shown(timing[part])[1] for timing in timings.values() for part in timed)
    axes.set_xlim(0, 1.04 * widest)
    for place, (name, timing) in enumerate(timings.items()):
        for index, part in enumerate(timed):
            at = place + (index - (len(timed) - 1) / 2) * _BAR
            _bar(axes, at, timing[part], evidence.styles[name].colour if part == _DISCRIMINATOR else None)
        _ratio(axes, place, timing, none)
    axes.set_ylim(len(timings) - 0.5, -0.5)
    axes.set_yticks(range(len(timings)), list(timings))
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    without = f"    (right: {task.network.lower()} step over that of none)" if none else ""
    axes.set_xlabel(f"Milliseconds{without}")
    return figure


def _said(evidence: Evidence, timed: list[str], network: str) -> str:
    devices = sorted({str(timing.get("device", "")) for timing in evidence.timings.values()} - {""})
    where = f": {'; '.join(devices)}" if devices else ""
    bars = f"A step of the {network.lower()} in colour" + (", of the generator in grey" if _GENERATOR in timed else "")
    said = f"{bars}; thin: interval of the median.\nMedians, alone on the device (serial timing pass){where}."
    missing = [name for name in evidence.constraints if name not in evidence.timings]
    return said + (f" Not measured: {', '.join(missing)}." if missing else "")


def _shown(timing: dict[str, float]) -> tuple[float, float]:
    """Return the median and the highest value that is drawn."""
    return timing["median"], max(timing["median"], timing.get("high", 0.0))


def _bar(axes: Axes, place: float, timing: dict[str, float], colour: str | None) -> None:
    axes.barh(place, timing["median"], height=_BAR, color=colour or "#c9c9c9", alpha=0.85)
    low, high = timing.get("low", math.nan), timing.get("high", math.nan)
    if math.isfinite(low) and math.isfinite(high):
        axes.hlines(place, low, high, color="black", linewidth=0.8)


def _ratio(axes: Axes, place: int, timing: dict[str, Any], none: dict[str, Any] | None) -> None:
    """Write what a discriminator step takes over one without constraint, where both were timed on the same device."""
    if none is None or timing.get("device") != none.get("device"):
        return
    ratio = timing[_DISCRIMINATOR]["median"] / none[_DISCRIMINATOR]["median"]
    axes.annotate(
        f"× {ratio:.2f}",
        (1, place),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=GREY if none is timing else "black",
    )
