"""What a training step takes: a bar a constraint for the discriminator's step, and one for the generator's."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.panels import panels
from lipschitz.report.reading.timing import GENERATOR, STEP, is_captured, launched
from lipschitz.report.statistics.intervals import MEDIAN, Interval
from lipschitz.report.style import GREY
from lipschitz.report.wording import wording

_ROW = 0.3
"""Inches between two methods."""
_BAR = 0.36
"""Height of a bar, in rows."""
_EDGE = 0.9
"""Width of the edge of an open bar, in points."""
_PALE, _PALE_EDGE = "#c9c9c9", "#9c9c9c"
"""Greys of the generator: what fills a bar, and the edge of an open one."""


def step_time(evidence: Evidence) -> Figure | None:
    """Return the milliseconds of a step by constraint, in the fixed order, of the serial timing pass.

    The order is that of all figures, since methods closer than the noise would change places from one pass to the next.
    The text says by which factor a discriminator step is longer than that without a constraint on the same device. What
    is launched kernel by kernel where steps can be captured is an open bar, around or inside that of the captured step.
    """
    timings = {name: evidence.timings[name] for name in evidence.constraints if name in evidence.timings}
    if not timings:
        return None
    task, none = wording(evidence.comparison.task), evidence.timings.get("none")
    timed = [part for part in (STEP, GENERATOR) if part in task.timed]
    title = f"Time of a step  ·  {evidence.title}"
    size = (4.6, _ROW * len(timings) + 0.1)
    left = 0.25 + 0.066 * max(map(len, timings))
    figure, (axes,) = panels(1, 1, title, _said(evidence, timed, task.network), size=size, left=left, right=0.9)
    axes.set_xlim(0, 1.04 * max(_highest(timing, part) for timing in timings.values() for part in timed))
    for place, (name, timing) in enumerate(timings.items()):
        for index, part in enumerate(timed):
            at = place + (index - (len(timed) - 1) / 2) * _BAR
            colour = evidence.styles[name].colour if part == STEP else None
            if is_captured(timing) or not launched(timing):
                # Pale enough for the edge of an open bar inside it.
                alpha = 0.6 if launched(timing) else 0.85
                _bar(axes, at, timing[part], height=_BAR, color=colour or _PALE, alpha=alpha)
            if part in launched(timing):
                look = {"facecolor": "none", "edgecolor": colour or _PALE_EDGE, "linewidth": _EDGE}
                # Its edge ends where that of a filled bar does.
                _bar(axes, at, launched(timing)[part], height=_BAR - _EDGE / 72 / _ROW, **look)
        _ratio(axes, place, timing, none)
    axes.set_ylim(len(timings) - 0.5, -0.5)
    axes.set_yticks(range(len(timings)), list(timings))
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("Milliseconds" + (f"    (right: {_compared(task.network, none)})" if none else ""))
    return figure


def _said(evidence: Evidence, timed: list[str], network: str) -> str:
    devices = sorted({str(timing.get("device", "")) for timing in evidence.timings.values()} - {""})
    where = f": {'; '.join(devices)}" if devices else ""
    bars = f"A step of the {network.lower()} in colour" + (", of the generator in grey" if GENERATOR in timed else "")
    said = f"{bars}; thin: {MEDIAN.short}.{_legend(evidence)}\n"
    said += f"Medians, alone on the device (serial timing pass){where}."
    missing = [name for name in evidence.constraints if name not in evidence.timings]
    return said + (f" Not measured: {', '.join(missing)}." if missing else "")


def _compared(network: str, none: dict[str, Any]) -> str:
    """Say what the text at the right of a row is."""
    return f"{network.lower()} step over that of none" + (", both captured" if is_captured(none) else "")


def _legend(evidence: Evidence) -> str:
    """Say what is filled and what is open, where anything is open."""
    if not any(launched(timing) for timing in evidence.timings.values()):
        return ""
    if any(map(is_captured, evidence.timings.values())):
        return "\nFilled: captured as CUDA graphs, as it is trained; open: launched kernel by kernel."
    return "\nOpen: launched kernel by kernel, as nothing was captured as CUDA graphs."


def _highest(timing: dict[str, Any], part: str) -> float:
    """Return the highest value that is drawn of a part."""
    drawn = [timing[part], launched(timing).get(part, timing[part])]
    return max(float(one.get(end, 0.0)) for one in drawn for end in ("median", "high"))


def _bar(axes: Axes, place: float, timing: dict[str, float], **look: Any) -> None:
    interval = Interval.of_timing(timing)
    axes.barh(place, interval.mean, **look)
    if interval.has_ends:
        axes.hlines(place, interval.low, interval.high, color="black", linewidth=0.8)


def _ratio(axes: Axes, place: int, timing: dict[str, Any], none: dict[str, Any] | None) -> None:
    """Write what a discriminator step takes over one without constraint, where both were timed in the same way."""
    if none is None or timing.get("device") != none.get("device") or is_captured(timing) != is_captured(none):
        return
    ratio = timing[STEP]["median"] / none[STEP]["median"]
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
